"""The transition table: the one that decides, and the one the state diagram is drawn from.

Of the rows of a phase the first whose question is answered with yes is taken. So the order says
what goes first: orders and the spec, then what protects clients, then what leads on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dfastllm_operator.canary import ask, moves, words
from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.phase import IN_PROGRESS, WITHDRAWING, Cause, RolloutPhase
from dfastllm_operator.canary.state import RolloutStatus

Question = Callable[[Look], bool]
Move = Callable[[Look], RolloutStatus]
Words = Callable[[Look], str]

P = RolloutPhase


@dataclass(frozen=True, slots=True)
class Transition:
    """From `source` to `target` when `when` holds; `words` name it in the diagram.

    `silent` ones keep the phase and are told by no Event. `said` are words for the Event alone.
    """

    source: RolloutPhase
    target: RolloutPhase
    words: str
    when: Question
    move: Move
    silent: bool = False
    warning: bool = False
    said: Words | None = None


def _from(
    sources: tuple[RolloutPhase, ...],
    target: RolloutPhase | None,
    words: str,
    when: Question,
    move: Move,
    *,
    silent: bool = False,
    warning: bool = False,
    said: Words | None = None,
) -> list[Transition]:
    """One row for each source; target None: the phase stays."""
    return [
        Transition(source, target or source, words, when, move, silent, warning, said)
        for source in sources
    ]


def _rolled_back(cause: Cause, message: Words) -> Move:
    return lambda look: moves.roll_back(look, cause, message(look))


def _paused(cause: Cause, message: Words) -> Move:
    return lambda look: moves.pause(look, cause, message(look))


def _held(cause: Cause, message: Words) -> Move:
    return lambda look: moves.hold(look, cause, message(look))


_MAY_BE_UNREADY = (P.STEPPING, P.PAUSED, P.PROMOTING)
_WITH_WEIGHT = (P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING)
_BY_THEMSELVES = (P.PREPARING, P.STEPPING, P.PROMOTING)
_BEFORE_PROMOTION = (P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED)
_ROLL_BACK = partial(_from, target=P.ROLLING_BACK)

TABLE: tuple[Transition, ...] = (
    # Nothing is on its way.
    *_from((P.STABLE,), P.FINALIZING, "status lost, two slots", ask.two_unknown, moves.adopt),
    *_from((P.STABLE,), None, "first revision", ask.unknown, moves.adopt, silent=True),
    *_from((P.STABLE,), None, "updated in place", ask.ungated, moves.in_place),
    *_from((P.STABLE,), P.PREPARING, "new revision", ask.acceptable, moves.accept),
    *_from((P.FAILED,), P.STABLE, "spec reverted", ask.at_stable, moves.rest),
    *_from((P.FAILED,), P.PREPARING, "new revision", ask.other_acceptable, moves.accept),
    *_from((P.FAILED,), P.STABLE, "new revision, held or not gated", ask.not_failed, moves.rest),
    *_from((P.FAILED,), P.PREPARING, "retry", ask.retry_acceptable, moves.accept),
    *_from((P.FAILED,), P.STABLE, "retry, held or not gated", ask.retried, moves.retry_elsewise),
    # What a person asks for.
    *_ROLL_BACK(
        IN_PROGRESS,
        words="abort",
        when=ask.aborted,
        move=_rolled_back(Cause.ABORTED, words.by_order),
        warning=True,
    ),
    *_ROLL_BACK(
        IN_PROGRESS,
        words="spec reverted",
        when=ask.at_stable,
        move=_rolled_back(Cause.REVERTED, words.of_reversion),
    ),
    *_from(IN_PROGRESS, P.SUPERSEDED, "newer revision", ask.outdated, moves.supersede),
    *_ROLL_BACK(
        IN_PROGRESS,
        words="strategy changed",
        when=ask.not_canary,
        move=_rolled_back(Cause.STRATEGY_CHANGED, words.of_strategy),
    ),
    # What protects clients.
    *_ROLL_BACK(
        _MAY_BE_UNREADY,
        words="not ready failureLimit times",
        when=ask.lost_for_good,
        move=_rolled_back(Cause.LOST_READINESS, words.of_losses),
        warning=True,
    ),
    *_from((P.ANALYZING,), P.STEPPING, "readiness lost", ask.just_lost, moves.lose, warning=True),
    *_from(
        _MAY_BE_UNREADY,
        None,
        "readiness lost",
        ask.just_lost,
        moves.lose,
        warning=True,
    ),
    *_from(
        _MAY_BE_UNREADY,
        None,
        "still not ready",
        ask.still_lost,
        moves.lose,
        silent=True,
    ),
    *_ROLL_BACK(
        _WITH_WEIGHT,
        words="failureLimit",
        when=ask.metrics_failed,
        move=_rolled_back(Cause.METRICS_FAILED, words.of_metrics),
        warning=True,
    ),
    *_ROLL_BACK(
        (P.PREPARING,),
        words="cannot start",
        when=ask.hopeless,
        move=_rolled_back(Cause.CANNOT_START, words.of_candidate),
        warning=True,
    ),
    *_from(IN_PROGRESS, None, "thawed", ask.thawed, moves.thaw, silent=True),
    *_from(
        _BY_THEMSELVES,
        None,
        "not done by progressDeadline",
        ask.not_done,
        moves.extend,
        silent=True,
    ),
    *_ROLL_BACK(
        _BY_THEMSELVES,
        words="not ready by progressDeadline",
        when=ask.late_to_be_ready,
        move=_rolled_back(Cause.PROGRESS_DEADLINE, words.of_deadline),
        warning=True,
    ),
    *_ROLL_BACK(
        (P.STEPPING, P.PROMOTING),
        words="route silent by progressDeadline",
        when=ask.late_to_be_routed,
        move=_rolled_back(Cause.ROUTE_DEADLINE, words.of_route),
        warning=True,
    ),
    # What leads on, or holds.
    *_from(_BEFORE_PROMOTION, P.PROMOTING, "promote", ask.promotable, moves.promote_by_order),
    *_from(
        (P.PREPARING, P.STEPPING, P.ANALYZING, P.PROMOTING),
        P.PAUSED,
        "rollout.paused",
        ask.paused_by_user,
        _paused(Cause.USER_PAUSE, words.of_user),
    ),
    *_from(
        (P.STEPPING, P.ANALYZING, P.PROMOTING),
        P.PAUSED,
        "no route",
        ask.routeless,
        _paused(Cause.NO_ROUTE, words.of_obstacle),
        warning=True,
    ),
    *_from(
        (P.PAUSED,),
        None,
        "no route",
        ask.routeless_in_pause,
        _held(Cause.NO_ROUTE, words.of_obstacle),
        silent=True,
    ),
    *_from((P.PREPARING,), P.STEPPING, "ready", ask.sized, moves.first_step),
    *_from(
        (P.PREPARING,),
        P.PAUSED,
        "no room",
        ask.refused,
        _paused(Cause.NO_ROOM, words.of_room),
        warning=True,
    ),
    *_from(
        (P.STEPPING, P.PROMOTING),
        P.PAUSED,
        "no room",
        ask.cramped,
        _paused(Cause.NO_ROOM, words.of_room),
        warning=True,
    ),
    *_from((P.STEPPING, P.PROMOTING), None, "grows", ask.too_small, moves.resize, silent=True),
    *_from((P.STEPPING, P.PROMOTING), None, "weight wanted", ask.weighable, moves.set_weight),
    *_from((P.STEPPING,), P.ANALYZING, "route reports the weight", ask.reported, moves.analyze),
    *_from((P.PROMOTING,), P.FINALIZING, "route reports 100", ask.reported, moves.swap),
    *_from(
        (P.ANALYZING,),
        P.PAUSED,
        "scaler unhealthy",
        ask.scaler_unhealthy,
        _paused(Cause.SCALER_UNHEALTHY, words.of_scaler),
        warning=True,
    ),
    *_ROLL_BACK(
        (P.ANALYZING,),
        words="inconclusive, onInconclusive Abort",
        when=ask.undecided_abort,
        move=_rolled_back(Cause.METRICS_MISSING, words.of_metrics),
        warning=True,
    ),
    *_from(
        (P.ANALYZING,),
        P.PAUSED,
        "errorLimit",
        ask.unreadable,
        _paused(Cause.SOURCE_FAILED, words.of_metrics),
        warning=True,
    ),
    *_from(
        (P.ANALYZING,),
        P.PAUSED,
        "inconclusiveLimit",
        ask.undecided,
        _paused(Cause.INCONCLUSIVE, words.of_metrics),
        warning=True,
    ),
    *_from((P.ANALYZING,), P.STEPPING, "step edited", ask.step_edited, moves.same_step),
    *_from(
        (P.ANALYZING,),
        P.PAUSED,
        "passed, pause not over",
        ask.passed_early,
        _paused(Cause.STEP_PAUSE, words.of_step_pause),
    ),
    *_from((P.ANALYZING,), P.PROMOTING, "last step passed", ask.passed_last, moves.promote),
    *_from((P.ANALYZING,), P.STEPPING, "step passed", ask.passed, moves.next_step),
    *_ROLL_BACK(
        (P.PAUSED,),
        words="inconclusive, onInconclusive Abort",
        when=ask.undecided_in_pause_abort,
        move=_rolled_back(Cause.METRICS_MISSING, words.of_metrics),
        warning=True,
    ),
    *_from(
        (P.PAUSED,),
        None,
        "metrics unreadable",
        ask.unreadable_in_pause,
        _held(Cause.SOURCE_FAILED, words.of_metrics),
        warning=True,
    ),
    *_from(
        (P.PAUSED,),
        None,
        "metrics inconclusive",
        ask.undecided_in_pause,
        _held(Cause.INCONCLUSIVE, words.of_metrics),
        warning=True,
    ),
    *_from((P.PAUSED,), P.PROMOTING, "pause over, last step", ask.over_last, moves.promote),
    *_from((P.PAUSED,), P.STEPPING, "pause over", ask.over, moves.next_step),
    *_from((P.PAUSED,), P.PROMOTING, "resumed", ask.promotable_on, moves.promote_on),
    *_from((P.PAUSED,), P.ANALYZING, "resumed", ask.resumable_in_window, moves.resume),
    *_from((P.PAUSED,), P.STEPPING, "resumed", ask.resumable, moves.same_step),
    *_from(_WITH_WEIGHT, None, "measured", ask.measured, moves.count, silent=True),
    # What ends.
    *_from((P.FINALIZING,), P.ROLLING_BACK, "former stable again", ask.former, moves.swap_back),
    *_from((P.ROLLING_BACK,), None, "asked for another", ask.forgiven, moves.forgive, silent=True),
    *_from(WITHDRAWING, None, "without weight", ask.without_weight, moves.leave, silent=True),
    *_from(
        (P.FINALIZING,), None, "address switched", ask.left_alone, moves.left_alone, silent=True
    ),
    *_from((P.FINALIZING, *WITHDRAWING), None, "drained", ask.drained, moves.drained, silent=True),
    *_from((P.FINALIZING,), P.STABLE, "slot empty", ask.gone, moves.rest),
    *_from((P.ROLLING_BACK,), P.FAILED, "slot empty", ask.gone_failed, moves.fail, warning=True),
    *_from((P.ROLLING_BACK,), P.STABLE, "slot empty, not failed", ask.gone, moves.rest),
    *_from((P.SUPERSEDED,), P.PREPARING, "slot empty", ask.gone_acceptable, moves.accept),
    *_from((P.SUPERSEDED,), P.STABLE, "slot empty, nothing to try", ask.gone, moves.rest),
    *_from(
        tuple(P),
        None,
        "order refused",
        ask.stray_order,
        moves.refuse_orders,
        warning=True,
        said=words.of_orders,
    ),
)
"""All rows, the first ones first."""


def transition(look: Look) -> Transition | None:
    """The one to take; None: the rollout stays where it is."""
    mine = (row for row in TABLE if row.source is look.status.phase)
    return next((row for row in mine if row.when(look)), None)
