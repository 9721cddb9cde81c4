"""`spec.rollout` as the state machine takes it: seconds and counts, defaults filled in. Pure."""

from dfastllm_operator.api import Spec
from dfastllm_operator.api.duration import seconds
from dfastllm_operator.api.rollout import (
    AUTO,
    FOREVER,
    Rollout,
    RolloutAnalysis,
    RolloutStep,
    RolloutStrategy,
)
from dfastllm_operator.canary import policy
from dfastllm_operator.canary.policy import RolloutSpec, Step, Strategy
from dfastllm_operator.gates.plan import DEFAULT_GATES, Gate, Limits, Plan

BESIDE_START_S = 300
"""What a candidate may take beside starting: being scheduled, and images."""
NONE_ASKED_FOR = Rollout()


def policy_of(spec: Spec) -> RolloutSpec:
    """The policy of a service; one that says nothing is updated pod by pod."""
    asked = spec.rollout or NONE_ASKED_FOR
    drain = asked.drain.timeout
    return RolloutSpec(
        strategy=_strategy(asked.strategy),
        steps=tuple(map(_step, asked.steps)),
        analysis=_plan(asked.analysis, spec.ingress.timeout_s),
        progress_deadline_s=_deadline(asked, spec.startup_timeout_s),
        scale_down_delay_s=seconds(asked.scale_down_delay),
        drain_timeout_s=seconds(drain) if drain else spec.termination_grace_period_seconds,
        max_gpus=asked.max_gpus,
        paused=asked.paused,
        revision_history_limit=asked.revision_history_limit,
    )


def _strategy(asked: RolloutStrategy) -> Strategy:
    """BlueGreen is refused by a rule; should it stand in an object all the same, it is none."""
    match asked:
        case RolloutStrategy.CANARY:
            return Strategy.CANARY
        case RolloutStrategy.RECREATE:
            return Strategy.RECREATE
        case _:
            return Strategy.ROLLING_UPDATE


def _step(asked: RolloutStep) -> Step:
    auto = asked.replicas in (None, AUTO)
    return Step(
        weight=asked.weight,
        pause_s=policy.FOREVER if asked.pause == FOREVER else seconds(asked.pause),
        replicas=None if auto else int(str(asked.replicas)),
    )


def _plan(asked: RolloutAnalysis, request_timeout_s: int) -> Plan:
    gates = tuple(
        Gate(metric.name, max=metric.max, min=metric.min, max_regression=metric.max_regression)
        for metric in asked.metrics
    )
    return Plan(
        gates=gates or DEFAULT_GATES,
        interval_s=seconds(asked.interval),
        warmup_s=seconds(asked.warmup),
        min_samples=asked.min_samples,
        request_timeout_s=request_timeout_s,
        limits=Limits(
            failures=asked.failure_limit,
            errors=asked.error_limit,
            inconclusive=asked.inconclusive_limit,
            on_inconclusive=asked.on_inconclusive,
        ),
    )


def _deadline(asked: Rollout, startup_timeout_s: int) -> float:
    most = startup_timeout_s + BESIDE_START_S
    return min(most, seconds(asked.progress_deadline)) if asked.progress_deadline else most
