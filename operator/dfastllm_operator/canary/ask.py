"""The questions of the transition table. Pure."""

from dfastllm_operator import names
from dfastllm_operator.canary.hold import gated, in_place, obstacle
from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.moves import target
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import Strategy
from dfastllm_operator.canary.room import ALL, fits, fits_in_place, size_for
from dfastllm_operator.canary.ruling import Ruling, counted, rule
from dfastllm_operator.core import Json
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.plan import OnInconclusive

LOOKS_BETWEEN_WRITES = 10
"""While a rollout is held: people see how it does, and nobody has to write at each interval."""

# Nothing is on its way.


def unknown(look: Look) -> bool:
    return look.status.stable is None


def two_unknown(look: Look) -> bool:
    if not unknown(look):
        return False
    serving = look.seen.serving[0] if look.seen.serving else names.SLOTS[0]
    return any(not look.seen.slot(slot).empty for slot in names.SLOTS if slot != serving)


def at_stable(look: Look) -> bool:
    return not look.moved_on


def ungated(look: Look) -> bool:
    return in_place(look) and fits_in_place(look)


def acceptable(look: Look) -> bool:
    return look.moved_on and gated(look) and obstacle(look) is None


def not_failed(look: Look) -> bool:
    return look.seen.wanted != look.status.failed


def other_acceptable(look: Look) -> bool:
    return not_failed(look) and acceptable(look)


def retried(look: Look) -> bool:
    order = look.order_for("retry", look.seen.wanted)
    return order is not None and look.seen.wanted == look.status.failed


def retry_acceptable(look: Look) -> bool:
    return retried(look) and acceptable(look)


# What a person asks for.


def aborted(look: Look) -> bool:
    return look.order_for_candidate("abort")


def outdated(look: Look) -> bool:
    candidate = look.status.candidate
    return candidate is None or look.seen.wanted != candidate.revision


def not_canary(look: Look) -> bool:
    return look.spec.strategy is not Strategy.CANARY


def promotable(look: Look) -> bool:
    return look.order_for_candidate("promote") and look.candidate_seen.ready > 0


def stray_order(look: Look) -> bool:
    return any(look.order(kind) is not None for kind in ("promote", "abort", "retry"))


def paused_by_user(look: Look) -> bool:
    """Holds what has weight or could get it; a promotion that was ordered goes on.

    A weight that is on its way is reported first: what nobody has reported nobody looks at, and a
    candidate that clients meet is to be looked at, however long it is held.
    """
    if not look.spec.paused:
        return False
    match look.status.phase:
        case RolloutPhase.PREPARING:
            return look.sized
        case RolloutPhase.STEPPING:
            return _waits_for_weight(look)
        case RolloutPhase.PROMOTING:
            return look.status.weight < ALL and look.status.cause is not Cause.PROMOTED
        case _:
            return True


# What protects clients.


def just_lost(look: Look) -> bool:
    return look.lost


def still_lost(look: Look) -> bool:
    if look.status.weight or look.candidate_seen.ready:
        return False
    return look.past(look.status.tally.lost_at, look.spec.analysis.interval_s)


def lost_for_good(look: Look) -> bool:
    unready = not look.candidate_seen.ready
    return unready and look.status.tally.losses >= look.spec.analysis.limits.failures


def hopeless(look: Look) -> bool:
    return look.candidate_seen.hopeless and not look.candidate_seen.ready


def thawed(look: Look) -> bool:
    """`spec.paused` was set since the step began, and the status has not yet forgotten it."""
    paused, began = look.seen.paused_since, look.status.step_since
    return paused is not None and began is not None and began < paused


def late(look: Look) -> bool:
    return look.past(look.status.step_since, look.spec.progress_deadline_s)


def _unready(look: Look) -> bool:
    return look.status.weight != target(look).weight and not look.sized


def _unreported(look: Look) -> bool:
    """A route that cannot be made is late by nobody's fault: it is waited for."""
    if look.routeless:
        return False
    return look.status.weight == target(look).weight and not look.reported


def not_done(look: Look) -> bool:
    """Nobody has carried out what was decided: it cannot be late, but for the second time."""
    undone = (_unready(look) and not look.made) or (_unreported(look) and not look.written)
    return late(look) and undone and not look.status.extended


def late_to_be_ready(look: Look) -> bool:
    return late(look) and _unready(look)


def late_to_be_routed(look: Look) -> bool:
    return late(look) and _unreported(look)


# What leads on, or holds.


def sized(look: Look) -> bool:
    return look.sized


def _waits_for_weight(look: Look) -> bool:
    return look.status.weight != target(look).weight


def too_small(look: Look) -> bool:
    return _waits_for_weight(look) and look.status.replicas < size_for(look, target(look))


def cramped(look: Look) -> bool:
    """There is no room to grow. With the weight on its way it has grown, and is looked at next."""
    return _waits_for_weight(look) and (refused(look) or (too_small(look) and not _fits(look)))


def refused(look: Look) -> bool:
    """A quota keeps the candidate from its size."""
    return bool(look.candidate_seen.refused) and not look.sized


def weighable(look: Look) -> bool:
    return _waits_for_weight(look) and look.sized


def reported(look: Look) -> bool:
    return not _waits_for_weight(look) and look.reported


def routeless(look: Look) -> bool:
    return look.routeless


def routeless_in_pause(look: Look) -> bool:
    """Without a route no traffic comes, which says nothing of the candidate."""
    return _in_step_pause(look) and look.routeless


def scaler_unhealthy(look: Look) -> bool:
    return look.seen.scaler_healthy is False


# What the metrics say.


def _ruling(look: Look) -> Ruling:
    found = look.fresh
    if found is None:
        return Ruling.GO_ON
    tally = counted(look.status.tally, found)
    return rule(tally, found.outcome, look.spec.analysis.limits)


def measured(look: Look) -> bool:
    """A rollout that is held is written when the metrics say something else, and now and then."""
    found, status = look.fresh, look.status
    if found is None:
        return False
    if status.phase is not RolloutPhase.PAUSED or found.outcome is Outcome.FAIL:
        return True
    if _in_step_pause(look) and found.outcome in (Outcome.ERROR, Outcome.INCONCLUSIVE):
        return True
    if _outcomes(found.entries) != _outcomes(status.measurements):
        return True
    seldom_s = LOOKS_BETWEEN_WRITES * look.spec.analysis.interval_s
    written = status.tally.measured_at or status.since
    return found.entries != status.measurements and look.past(written, seldom_s)


def _outcomes(measurements: tuple[Json, ...]) -> list[tuple[str, str]]:
    judged = (m for m in measurements if m.get("outcome") != Outcome.SHOWN)
    return [(str(m.get("metric")), str(m.get("outcome"))) for m in judged]


def metrics_failed(look: Look) -> bool:
    """Whoever promoted the candidate has overruled the gates."""
    ordered = look.status.ordered or look.status.cause is Cause.PROMOTED
    return _ruling(look) is Ruling.FAILED and not ordered


def undecided(look: Look) -> bool:
    return _ruling(look) is Ruling.UNDECIDED


def undecided_abort(look: Look) -> bool:
    aborts = look.spec.analysis.limits.on_inconclusive is OnInconclusive.ABORT
    return undecided(look) and aborts


def unreadable(look: Look) -> bool:
    return undecided(look) and look.fresh is not None and look.fresh.outcome is Outcome.ERROR


def undecided_in_pause_abort(look: Look) -> bool:
    return _in_step_pause(look) and undecided_abort(look)


def unreadable_in_pause(look: Look) -> bool:
    return _in_step_pause(look) and unreadable(look)


def undecided_in_pause(look: Look) -> bool:
    return _in_step_pause(look) and undecided(look)


def step_edited(look: Look) -> bool:
    return _waits_for_weight(look)


def passed(look: Look) -> bool:
    return _ruling(look) is Ruling.PASSED


def passed_early(look: Look) -> bool:
    return passed(look) and not _pause_over(look)


def passed_last(look: Look) -> bool:
    return passed(look) and look.in_last_step


def over(look: Look) -> bool:
    ended = _in_step_pause(look) and not look.spec.paused and _pause_over(look)
    return ended and _as_it_was(look) and _still_passes(look)


def over_last(look: Look) -> bool:
    return over(look) and look.in_last_step


def resumable(look: Look) -> bool:
    """What the rollout waited for has come."""
    if look.spec.paused and not look.status.ordered:
        return False
    match look.status.cause:
        case Cause.STEP_PAUSE:
            return not _as_it_was(look) and look.candidate_seen.ready > 0
        case Cause.INCONCLUSIVE | Cause.SOURCE_FAILED:
            conclusive = look.fresh is not None and look.fresh.outcome is Outcome.PASS
            return conclusive or (not _as_it_was(look) and look.candidate_seen.ready > 0)
        case Cause.NO_ROOM:
            return _fits(look) and not refused(look)
        case Cause.NO_ROUTE:
            return not look.routeless
        case Cause.SCALER_UNHEALTHY:
            return look.seen.scaler_healthy is not False
        case _:
            return True


def promotable_on(look: Look) -> bool:
    return look.status.promoting and resumable(look)


def resumable_in_window(look: Look) -> bool:
    """The route had the judged weight all the while: what was seen of it counts on."""
    return resumable(look) and look.status.weight > 0 and _as_it_was(look) and look.reported


def _in_step_pause(look: Look) -> bool:
    return look.status.cause is Cause.STEP_PAUSE


def _still_passes(look: Look) -> bool:
    """A step passed before its pause began; what counts at the end of it is the latest look."""
    if look.fresh is not None:
        return look.fresh.outcome is Outcome.PASS
    tally = look.status.tally
    said = {outcome for _, outcome in _outcomes(look.status.measurements)}
    return not tally.errors and not tally.inconclusive and said <= {Outcome.PASS}


def _as_it_was(look: Look) -> bool:
    """The weight is still the one that was judged."""
    return look.status.weight == look.status.confirmed == look.step.weight


def _pause_over(look: Look) -> bool:
    pause_s = look.step.pause_s
    return pause_s <= 0 or look.past(look.status.confirmed_at, pause_s)


def _fits(look: Look) -> bool:
    candidate = look.status.candidate
    assert candidate is not None
    return fits(look, size_for(look, target(look)), candidate.revision, candidate.slot)


# What ends.


def former(look: Look) -> bool:
    return look.former_stands


def forgiven(look: Look) -> bool:
    return bool(look.status.failed) and not_failed(look)


def without_weight(look: Look) -> bool:
    return look.status.leaving is None and look.without_weight


def left_alone(look: Look) -> bool:
    leaving = look.status.leaving
    return leaving is not None and leaving.addressed and not look.leads_to(leaving.slot)


def drained(look: Look) -> bool:
    leaving = look.status.leaving
    return leaving is not None and not leaving.drained and look.idle


def gone(look: Look) -> bool:
    return look.gone


def gone_failed(look: Look) -> bool:
    return look.gone and bool(look.status.failed)


def gone_acceptable(look: Look) -> bool:
    return look.gone and acceptable(look)
