"""The Events that tell of a rollout, each with its meaning."""

from collections.abc import Iterator

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.conditions import Described

ENTERED = "Rollout"
"""Before the name of a phase: the rollout has entered it."""


class Told(Described):
    """Events within a phase."""

    UPDATED_IN_PLACE = (
        "UpdatedInPlace",
        "A change goes out without a gate: the strategy is no canary, or stable has no ready pod.",
    )
    WEIGHT_WANTED = "WeightWanted", "The candidate is ready for a weight, and is to have it."
    READINESS_LOST = (
        "ReadinessLost",
        "The candidate had traffic and has no ready pod any more: its weight is 0 at once.",
    )
    ORDER_REFUSED = (
        "OrderRefused",
        "An order means nothing now: there is no such candidate, it is not ready, or nothing has "
        "failed. Or it has no nonce.",
    )
    METRICS_UNREADABLE = (
        "MetricsUnreadable",
        "During a step's `pause` the metrics could not be read for `errorLimit` looks.",
    )
    METRICS_INCONCLUSIVE = (
        "MetricsInconclusive",
        "During a step's `pause` the metrics said nothing for `inconclusiveLimit` looks.",
    )
    STREAMS_CUT = (
        "StreamsCut",
        "Requests were still running on a slot when `drain.timeout` was over, or some of its pods "
        "did not tell; they are cut.",
    )


def entering(phase: RolloutPhase) -> str:
    """The reason of the Event that a phase was entered."""
    return f"{ENTERED}{phase}"


def reasons() -> Iterator[tuple[str, str]]:
    """All reasons with their sentences."""
    for phase in RolloutPhase:
        yield entering(phase), f"The rollout has entered {phase}: {phase.description}"
    for told in Told:
        yield told, told.description
