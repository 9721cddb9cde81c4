"""What each transition writes: the next status of a rollout. Pure."""

from dataclasses import replace

from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.phase import STICKY, Cause, RolloutPhase
from dfastllm_operator.canary.policy import Step
from dfastllm_operator.canary.room import ALL, size_for
from dfastllm_operator.canary.ruling import counted
from dfastllm_operator.canary.state import Assigned, Handled, Leaving, RolloutStatus, Tally


def adopt(look: Look) -> RolloutStatus:
    """What serves is stable, and so is the first revision of all."""
    slot, revision = look.seen.serving or (look.free_slot, look.seen.wanted)
    stable = Assigned(revision, slot)
    status = replace(look.status, stable=stable)
    other = replace(look, status=status).free_slot
    seen = look.seen.slot(other)
    if seen.empty:
        return _enter(look, status, RolloutPhase.STABLE)
    leaving = Leaving(seen.revision, other, look.now, seen.wanted, addressed=look.leads_to(other))
    return _enter(look, replace(status, leaving=leaving), RolloutPhase.FINALIZING)


def in_place(look: Look) -> RolloutStatus:
    assert look.status.stable is not None
    stable = replace(look.status.stable, revision=look.seen.wanted)
    return _rest(look, RolloutPhase.STABLE, stable=stable)


def rest(look: Look) -> RolloutStatus:
    """Back to one revision, whatever was before."""
    return _rest(look, RolloutPhase.STABLE, stable=look.status.stable)


def accept(look: Look) -> RolloutStatus:
    """The wanted revision becomes the candidate, in the free slot, at its first size."""
    handled = look.status.handled
    if order := look.order_for("retry", look.seen.wanted):
        handled = replace(handled, retry=str(order))
    fresh = _rest(look, RolloutPhase.PREPARING, stable=look.status.stable)
    return replace(
        fresh,
        handled=handled,
        candidate=Assigned(look.seen.wanted, look.free_slot),
        step_since=look.now,
        replicas=size_for(look, look.spec.steps[0]),
        floor=max(1, look.stable_seen.wanted),
    )


def retry_elsewise(look: Look) -> RolloutStatus:
    """The failure is forgotten; what is possible now is decided as for any other change."""
    order = look.order("retry")
    handled = replace(look.status.handled, retry=str(order))
    return replace(rest(look), handled=handled)


def step_to(look: Look, step: int) -> RolloutStatus:
    """Into a step; its weight comes once the candidate has the size for it."""
    status = look.status
    if step != status.step:
        status = replace(status, tally=_step_over(status.tally))
    status = replace(status, step=step, step_since=look.now, extended=False, cause=None, message="")
    return _enter(look, status, RolloutPhase.STEPPING)


def first_step(look: Look) -> RolloutStatus:
    return step_to(look, 0)


def same_step(look: Look) -> RolloutStatus:
    return step_to(look, min(look.status.step, len(look.spec.steps) - 1))


def next_step(look: Look) -> RolloutStatus:
    return step_to(_counted(look), look.status.step + 1)


def target(look: Look) -> Step:
    """The step whose weight is aimed at; promoting is one to all traffic."""
    promoting = look.status.phase is RolloutPhase.PROMOTING or look.status.promoting
    return Step(ALL) if promoting else look.step


def thaw(look: Look) -> RolloutStatus:
    """The time that the service was frozen for is nobody's fault: the step has all its time."""
    assert look.seen.paused_since is not None
    began = max(look.now, look.seen.paused_since)
    return replace(look.status, step_since=began, extended=False)


def extend(look: Look) -> RolloutStatus:
    """The operator was away, or is refused what it does: the step has its time once more."""
    return replace(look.status, step_since=look.now, extended=True)


def resize(look: Look) -> RolloutStatus:
    return replace(look.status, replicas=size_for(look, target(look)))


def set_weight(look: Look) -> RolloutStatus:
    tally = replace(look.status.tally, lost_at=None)
    weight = target(look).weight
    return replace(
        look.status,
        weight=weight,
        exposed=True,
        confirmed_at=None,
        step_since=look.now,
        extended=False,
        tally=tally,
    )


def analyze(look: Look) -> RolloutStatus:
    """The route has the weight: the window of the analysis begins."""
    status = look.status
    tally = replace(status.tally, errors=0, inconclusive=0, measured_at=None)
    status = replace(status, confirmed=status.weight, confirmed_at=look.now, tally=tally)
    return _enter(look, status, RolloutPhase.ANALYZING)


def count(look: Look) -> RolloutStatus:
    """One more measurement is kept."""
    return _counted(look).status


def hold(look: Look, cause: Cause, message: str) -> RolloutStatus:
    """It is paused, from now on for this cause."""
    return replace(_counted(look).status, cause=cause, message=message)


def pause(look: Look, cause: Cause, message: str) -> RolloutStatus:
    """A promotion is remembered, or its order would be lost."""
    status = replace(
        hold(look, cause, message),
        promoting=look.status.phase is RolloutPhase.PROMOTING,
        ordered=look.status.cause is Cause.PROMOTED,
    )
    return _enter(look, status, RolloutPhase.PAUSED)


def resume(look: Look) -> RolloutStatus:
    """The analysis goes on in the same window; what was in a row before begins anew."""
    status = _counted(look).status
    tally = replace(status.tally, errors=0, inconclusive=0)
    return _enter(
        look, replace(status, cause=None, message="", tally=tally), RolloutPhase.ANALYZING
    )


def lose(look: Look) -> RolloutStatus:
    """No weight to what is not ready. It can win it back, but not for ever."""
    status = look.status
    analyzing = status.phase is RolloutPhase.ANALYZING
    status = replace(
        status,
        weight=0,
        step_since=look.now,
        extended=False,
        tally=replace(status.tally, losses=status.tally.losses + 1, lost_at=look.now),
    )
    return _enter(look, status, RolloutPhase.STEPPING) if analyzing else status


def promote(look: Look) -> RolloutStatus:
    """All steps are passed."""
    status = replace(
        _counted(look).status,
        cause=None,
        message="",
        step_since=look.now,
        extended=False,
        promoting=False,
        ordered=False,
    )
    return _enter(look, status, RolloutPhase.PROMOTING)


def promote_by_order(look: Look) -> RolloutStatus:
    handled = replace(look.status.handled, promote=str(look.order("promote")))
    return replace(promote(look), cause=Cause.PROMOTED, handled=handled)


def promote_on(look: Look) -> RolloutStatus:
    """As it was before it was held."""
    return replace(promote(look), cause=Cause.PROMOTED if look.status.ordered else None)


def swap(look: Look) -> RolloutStatus:
    """The candidate is stable from now on; the former one keeps its size until it is drained."""
    status = look.status
    assert status.stable is not None
    assert status.candidate is not None
    former = Leaving(
        status.stable.revision,
        status.stable.slot,
        look.now,
        max(status.floor, look.stable_seen.wanted),
        addressed=look.leads_to(status.stable.slot),
    )
    resting = _rest(look, RolloutPhase.FINALIZING, stable=status.candidate)
    return replace(
        resting,
        leaving=former,
        replicas=status.replicas,
        floor=status.replicas,
        measurements=status.measurements,
    )


def swap_back(look: Look) -> RolloutStatus:
    """The former stable has all traffic again, at once: it has served before, and still can."""
    status = look.status
    assert status.stable is not None
    assert status.leaving is not None
    back = replace(
        status,
        stable=Assigned(status.leaving.revision, status.leaving.slot),
        candidate=status.stable,
        leaving=None,
        weight=0,
        confirmed=ALL,
        exposed=True,
        replicas=max(status.replicas, look.stable_seen.wanted),
        floor=status.leaving.replicas,
        cause=Cause.REVERTED,
        message=f"The spec asks for revision {look.seen.wanted} again.",
    )
    return _enter(look, back, RolloutPhase.ROLLING_BACK)


def roll_back(look: Look, cause: Cause, message: str) -> RolloutStatus:
    """Stable has all traffic; what follows depends on nothing but this."""
    status = _counted(look).status
    assert status.candidate is not None
    handled = status.handled
    if cause is Cause.ABORTED:
        handled = replace(handled, abort=str(look.order("abort")))
    status = replace(
        status,
        weight=0,
        cause=cause,
        message=message,
        promoting=False,
        ordered=False,
        failed=status.candidate.revision if cause in STICKY else "",
        handled=handled,
    )
    return _enter(look, status, RolloutPhase.ROLLING_BACK)


def supersede(look: Look) -> RolloutStatus:
    message = f"The spec asks for revision {look.seen.wanted} by now."
    status = replace(
        look.status, weight=0, cause=None, message=message, promoting=False, ordered=False
    )
    return _enter(look, status, RolloutPhase.SUPERSEDED)


def forgive(look: Look) -> RolloutStatus:
    """Another revision was asked for in between, so this one may be tried again later."""
    return replace(look.status, failed="")


def leave(look: Look) -> RolloutStatus:
    """The candidate has no traffic; one that never had any has nothing to finish."""
    status = look.status
    assert status.candidate is not None
    leaving = Leaving(
        status.candidate.revision,
        status.candidate.slot,
        look.now,
        status.replicas,
        drained=not status.exposed,
    )
    return replace(status, candidate=None, leaving=leaving, confirmed=0, confirmed_at=None)


def left_alone(look: Look) -> RolloutStatus:
    """The address leads elsewhere by now: those who act on it have the delay from here on."""
    assert look.status.leaving is not None
    leaving = replace(look.status.leaving, addressed=False, since=look.now)
    return replace(look.status, leaving=leaving)


def drained(look: Look) -> RolloutStatus:
    leaving = look.status.leaving
    assert leaving is not None
    seen = look.seen.slot(leaving.slot)
    told = replace(leaving, drained=True, cut=seen.running or 0, unanswered=seen.unanswered)
    return replace(look.status, leaving=told)


def fail(look: Look) -> RolloutStatus:
    """For good, until another revision is asked for or somebody orders another try."""
    status = look.status
    kept = _rest(look, RolloutPhase.FAILED, stable=status.stable)
    return replace(
        kept,
        failed=status.failed,
        cause=status.cause,
        message=status.message,
        step=status.step,
        measurements=status.measurements,
    )


def refuse_orders(look: Look) -> RolloutStatus:
    """Orders that mean nothing now are not kept for a later time, when they would be a surprise."""
    handled = look.status.handled
    for kind in ("promote", "abort", "retry"):
        if (order := look.order(kind)) is not None:
            handled = replace(handled, **{kind: str(order)})
    return replace(look.status, handled=handled)


def _counted(look: Look) -> Look:
    """The look with the measurement in its status, if there is a new one."""
    found, status = look.fresh, look.status
    if found is None:
        return look
    tally = counted(status.tally, found)
    return replace(look, status=replace(status, tally=tally, measurements=found.entries))


def _step_over(tally: Tally) -> Tally:
    """Another step begins: only the losses of readiness count on, and no look counts twice."""
    return Tally(losses=tally.losses, lost_at=tally.lost_at, measured_at=tally.measured_at)


def _enter(look: Look, status: RolloutStatus, phase: RolloutPhase) -> RolloutStatus:
    return replace(status, phase=phase, since=look.now)


def _rest(look: Look, phase: RolloutPhase, stable: Assigned | None) -> RolloutStatus:
    """Only stable, and the orders that were handled: nothing of a former rollout is left."""
    handled: Handled = look.status.handled
    return RolloutStatus(phase=phase, since=look.now, stable=stable, handled=handled)
