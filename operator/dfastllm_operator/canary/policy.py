"""What `spec.rollout` asks for, in seconds and counts, with all defaults filled in. Pure data."""

from dataclasses import dataclass
from enum import StrEnum

from dfastllm_operator.gates.plan import Plan


class Strategy(StrEnum):
    """How a new revision takes over."""

    CANARY = "Canary"
    """Beside the serving one, with a little traffic first."""
    ROLLING_UPDATE = "RollingUpdate"
    """Pod by pod, in the same Deployment."""
    RECREATE = "Recreate"
    """All old pods go before new ones come."""


FOREVER = float("inf")
"""A pause that only an order, or an edit of the step, ends."""


@dataclass(frozen=True, slots=True)
class Step:
    """One share of the traffic.

    The weight is held for `pause_s` seconds at least, however good the metrics are. `replicas` is
    the candidate's size, None: in proportion to stable's.
    """

    weight: int
    pause_s: float = 0.0
    replicas: int | None = None


DEFAULT_ANALYSIS = Plan()
DEFAULT_STEPS = (Step(10), Step(50), Step(100))

GATEWAY_LAG_S = 5.0
"""Gateways act some time after they report: the least a slot without weight is left alone."""


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """The policy of one service; the caller has checked it.

    `progress_deadline_s` counts from the acceptance of a candidate until it is ready, and anew for
    each step until the route has its weight. A slot without weight is left alone for
    `scale_down_delay_s`, then waited for until it is idle or `drain_timeout_s` is over.
    `gateway_lag_s` is what is left of the delay when a newer revision waits for the slot.
    `max_gpus` None is no limit.
    """

    strategy: Strategy = Strategy.ROLLING_UPDATE
    steps: tuple[Step, ...] = DEFAULT_STEPS
    analysis: Plan = DEFAULT_ANALYSIS
    progress_deadline_s: float = 2100.0
    scale_down_delay_s: float = 30.0
    drain_timeout_s: float = 600.0
    gateway_lag_s: float = GATEWAY_LAG_S
    max_gpus: int | None = None
    paused: bool = False
    revision_history_limit: int = 5
