"""The state machine of a rollout: one pure function of spec, status, world and time.

A decision either moves the status or brings the cluster to what the status says. The status is
written first, bound to what was looked at, so that an operator that has lost its lead, or that saw
an old state, moves nothing.
"""

from datetime import datetime, timedelta

from dfastllm_operator.canary.arrange import arrange
from dfastllm_operator.canary.decision import Decision, News
from dfastllm_operator.canary.events import Told, entering
from dfastllm_operator.canary.hold import held
from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.observation import Observation
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import RolloutSpec
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.canary.table import Transition, transition

MILLISECOND = 1000


def decide(
    spec: RolloutSpec, status: RolloutStatus, observed: Observation, now: datetime
) -> Decision:
    """What is to be done at `now`; see `Decision`."""
    now = now.replace(microsecond=now.microsecond // MILLISECOND * MILLISECOND)
    look = Look(spec, status, observed, now)
    if observed.frozen:
        return Decision(status)
    row = transition(look)
    if row is not None:
        moved = row.move(look)
        assert moved.phase is row.target, f"{row.words}: {moved.phase}"
        return Decision(moved, moved=True, words=row.words, news=_news(row, look, moved))
    return Decision(status, arrangement=arrange(look), blocked=held(look), again=_again(look))


def reason(row: Transition) -> str:
    """Of the Event of a transition that is told."""
    return entering(row.target) if row.source is not row.target else Told.named(_camel(row.words))


def _news(row: Transition, look: Look, moved: RolloutStatus) -> News | None:
    if row.silent:
        return _cut(look, moved)
    return News(reason(row), _sentence(row, look, moved), row.warning)


def _cut(look: Look, moved: RolloutStatus) -> News | None:
    before, leaving = look.status.leaving, moved.leaving
    if leaving is None or (before is not None and before.drained):
        return None
    if not leaving.cut and not leaving.unanswered:
        return None
    least = "At least " if leaving.unanswered else ""
    text = (
        f"{least}{leaving.cut} requests were still running on revision {leaving.revision} after "
        f"drain.timeout of {look.spec.drain_timeout_s:g} s and are cut"
    )
    silent = f"; {leaving.unanswered} pods did not answer" if leaving.unanswered else ""
    return News(Told.STREAMS_CUT, f"{text}{silent}.", warning=True)


def _sentence(row: Transition, look: Look, moved: RolloutStatus) -> str:
    parts = [row.words[:1].upper() + row.words[1:]]
    for role in ("stable", "candidate", "leaving"):
        found = getattr(moved, role)
        if found is not None:
            parts.append(f"{role} {found.revision} in slot {found.slot}")
    if moved.candidate is not None:
        parts.append(f"weight {moved.weight}")
    if moved.failed:
        parts.append(f"failed {moved.failed}")
    said = row.said(look) if row.said else ""
    told = (f"{', '.join(parts)}.", said, moved.message)
    return " ".join(part for part in told if part)


def _camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.replace(",", "").split())


def _again(look: Look) -> datetime | None:
    """When time alone changes the answer: the first moment still to come."""
    return min((moment for moment in _moments(look) if moment > look.now), default=None)


def _moments(look: Look) -> list[datetime]:
    spec, status = look.spec, look.status
    found = [
        _after(status.step_since, spec.progress_deadline_s),
        _after(status.tally.lost_at, spec.analysis.interval_s),
        _after(status.confirmed_at, look.step.pause_s),
        look.idle_from,
        _after(look.stable_seen.unready_since, spec.progress_deadline_s),
        _after(look.idle_from, spec.drain_timeout_s),
    ]
    if status.phase is RolloutPhase.ROLLING_BACK or status.phase is RolloutPhase.SUPERSEDED:
        found.append(_after(status.since, spec.progress_deadline_s))
    found += [pod.late_at for slot in look.seen.slots.values() for pod in slot.going]
    return [moment for moment in found if moment is not None]


def _after(since: datetime | None, seconds: float) -> datetime | None:
    if since is None or seconds == float("inf"):
        return None
    return since + timedelta(seconds=seconds)
