from typing import Any

from dfastllm_operator.canary.policy import DEFAULT_STEPS, FOREVER, RolloutSpec, Step, Strategy
from dfastllm_operator.delivery.policy import policy_of
from dfastllm_operator.gates.metric import MetricName
from dfastllm_operator.gates.plan import Gate, OnInconclusive, Plan
from support.custom_resources import FULL
from support.situations import service


def policy(**rollout: Any) -> RolloutSpec:
    return policy_of(service({"rollout": rollout}).spec)


def test_a_service_that_says_nothing_is_updated_pod_by_pod() -> None:
    assert policy_of(service({}).spec).strategy is Strategy.ROLLING_UPDATE
    assert policy().strategy is Strategy.ROLLING_UPDATE


def test_canary_alone_is_enough() -> None:
    found = policy(strategy="Canary")
    assert found.strategy is Strategy.CANARY
    assert found.steps == DEFAULT_STEPS
    assert found.analysis == Plan(request_timeout_s=600)
    assert (found.progress_deadline_s, found.drain_timeout_s) == (2100, 60)
    assert found.max_gpus is None


def test_of_two_deadlines_the_shorter_counts() -> None:
    assert policy(progressDeadline="2m").progress_deadline_s == 120
    assert policy(progressDeadline="2h").progress_deadline_s == 2100


def test_every_field_arrives() -> None:
    found = policy_of(service(FULL).spec)
    assert found.steps == (Step(10, 600, 1), Step(100, FOREVER))
    assert found.analysis.gates == (
        Gate(MetricName.ERROR_RATE, max=0.02),
        Gate(MetricName.TOKENS_PER_FORWARD, min=1.5, max_regression=20),
    )
    assert (found.analysis.interval_s, found.analysis.warmup_s) == (20, 40)
    assert found.analysis.min_samples == 20
    limits = found.analysis.limits
    assert (limits.failures, limits.errors, limits.inconclusive) == (3, 4, 6)
    assert limits.on_inconclusive is OnInconclusive.ABORT
    assert (found.progress_deadline_s, found.scale_down_delay_s) == (1200, 60)
    assert (found.drain_timeout_s, found.max_gpus, found.revision_history_limit) == (50, 8, 3)
    assert found.paused
