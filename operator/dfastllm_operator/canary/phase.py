"""The phases of a rollout and the causes that hold or end one, each with its meaning."""

from dfastllm_operator.conditions import Described


class RolloutPhase(Described):
    """Where a rollout is."""

    STABLE = "Stable", "One revision serves; no other is on its way."
    PREPARING = "Preparing", "The candidate comes up without traffic."
    STEPPING = "Stepping", "The candidate is brought to the size and the weight of a step."
    ANALYZING = "Analyzing", "The route has the step's weight; candidate and stable are compared."
    PAUSED = "Paused", "The weight is held; hard failures still roll back."
    PROMOTING = "Promoting", "The candidate is brought to stable's size and to all traffic."
    FINALIZING = "Finalizing", "The candidate has become stable; the former one drains and goes."
    ROLLING_BACK = "RollingBack", "Stable has all traffic again; the candidate drains and goes."
    FAILED = "Failed", "The candidate was rolled back and is not tried again by itself."
    SUPERSEDED = "Superseded", "The spec asks for yet another revision; the candidate goes."


IN_PROGRESS = (
    RolloutPhase.PREPARING,
    RolloutPhase.STEPPING,
    RolloutPhase.ANALYZING,
    RolloutPhase.PAUSED,
    RolloutPhase.PROMOTING,
)
"""Phases with a candidate that may still be promoted."""

WITHDRAWING = (RolloutPhase.ROLLING_BACK, RolloutPhase.SUPERSEDED)
"""Phases that take a candidate away."""


class Cause(Described):
    """Why a rollout is held or was ended."""

    # It is held.
    STEP_PAUSE = "StepPause", "The step's `pause` is not over, or the latest look did not pass."
    USER_PAUSE = "UserPause", "`rollout.paused` is set."
    INCONCLUSIVE = "Inconclusive", "The metrics said nothing for `inconclusiveLimit` looks."
    SOURCE_FAILED = "SourceFailed", "The metrics could not be read for `errorLimit` looks."
    NO_ROOM = "NoRoom", "The next size of the candidate does not fit `maxGPUs`, or a quota."
    NO_ROUTE = "NoRoute", "The route that splits the traffic is gone, and cannot be made anew."
    SCALER_UNHEALTHY = "ScalerUnhealthy", "The autoscaler of stable reports that it cannot scale."

    # It goes on by order.
    PROMOTED = "Promoted", "Somebody promoted the candidate."

    # It ends in Failed.
    ABORTED = "Aborted", "Somebody aborted the rollout."
    METRICS_FAILED = "MetricsFailed", "The candidate did worse than the gates allow."
    METRICS_MISSING = (
        "MetricsMissing",
        "The metrics said nothing for too long, and `onInconclusive` is `Abort`.",
    )
    LOST_READINESS = "LostReadiness", "The candidate had traffic and stopped being ready."
    CANNOT_START = "CannotStart", "The candidate fails in a way that waiting does not mend."
    PROGRESS_DEADLINE = "ProgressDeadline", "The candidate was not ready within the deadline."
    ROUTE_DEADLINE = "RouteDeadline", "The route did not report a weight within the deadline."

    # It ends in Stable.
    REVERTED = "Reverted", "The spec asks for the stable revision again."
    STRATEGY_CHANGED = "StrategyChanged", "The spec no longer asks for a canary."


HOLDS = frozenset(
    {
        Cause.STEP_PAUSE,
        Cause.USER_PAUSE,
        Cause.INCONCLUSIVE,
        Cause.SOURCE_FAILED,
        Cause.NO_ROOM,
        Cause.NO_ROUTE,
        Cause.SCALER_UNHEALTHY,
    }
)
"""Causes of a pause."""

GOES_ON = frozenset({Cause.PROMOTED})
"""Causes that lead to all traffic."""

STICKY = frozenset(
    {
        Cause.ABORTED,
        Cause.METRICS_FAILED,
        Cause.METRICS_MISSING,
        Cause.LOST_READINESS,
        Cause.CANNOT_START,
        Cause.PROGRESS_DEADLINE,
        Cause.ROUTE_DEADLINE,
    }
)
"""Causes after which the same revision is not tried again by itself."""

CAUSES_OF_ROLLBACK = tuple(cause for cause in Cause if cause not in HOLDS | GOES_ON)
"""Causes with which a candidate is rolled back, whether or not it may be tried again."""
