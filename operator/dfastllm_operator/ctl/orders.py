"""Promote, abort, retry: whether that can be asked for now, and how it is written. Pure.

An order is an annotation with a nonce, so that the same order can be given again later and is
carried out once. It names the revision it is meant for: should the spec have changed meanwhile, it
is void instead of hitting another candidate.
"""

from dataclasses import dataclass
from enum import StrEnum

from dfastllm_operator.canary.phase import IN_PROGRESS, WITHDRAWING, RolloutPhase
from dfastllm_operator.ctl.view import RolloutView
from dfastllm_operator.names import GROUP


class Verb(StrEnum):
    """What can be asked for."""

    PROMOTE = "promote"
    ABORT = "abort"
    RETRY = "retry"


class Refused(Exception):
    """It cannot be done now; the text says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Order:
    """An annotation to be set, and what is said once it is."""

    annotation: str
    value: str
    said: str


def order(verb: Verb, found: RolloutView, nonce: str) -> Order:
    """The order for the rollout as it stands; Refused when it makes no sense."""
    if found.deleting:
        raise Refused(f"{found.title} is being deleted")
    if not found.phase:
        raise Refused(
            f"{found.title} has no rollout (strategy {found.strategy}): set spec.rollout.strategy "
            "to Canary and change the model or its settings"
        )
    if found.frozen:
        raise Refused(
            f"{found.title} has spec.paused set, with which the operator does nothing at all: set "
            "it to false first"
        )
    revision, said = {Verb.PROMOTE: _promote, Verb.ABORT: _abort, Verb.RETRY: _retry}[verb](found)
    return Order(f"{GROUP}/rollout-{verb}", f"{revision}/{nonce}", said)


def _promote(found: RolloutView) -> tuple[str, str]:
    candidate = _candidate(found, "promote")
    if found.phase == RolloutPhase.PROMOTING:
        raise Refused(f"{found.title} is being promoted already")
    if found.phase == RolloutPhase.PREPARING:
        raise Refused(
            f"candidate {candidate} of {found.title} is not ready yet, and gets no traffic before "
            "it is"
        )
    return candidate, f"{found.title}: candidate {candidate} is to get all traffic now"


def _abort(found: RolloutView) -> tuple[str, str]:
    candidate = _candidate(found, "abort")
    stable = found.stable.revision if found.stable else "stable"
    return (
        candidate,
        f"{found.title}: candidate {candidate} is to go, {stable} gets all traffic back",
    )


def _retry(found: RolloutView) -> tuple[str, str]:
    if found.phase != RolloutPhase.FAILED:
        raise Refused(
            f"{found.title} has no failed rollout (it is {found.phase}): there is nothing to retry"
        )
    if not found.failed:
        raise Refused(f"{found.title} does not say which revision failed")
    return found.failed, f"{found.title}: revision {found.failed} is to be tried again"


def _candidate(found: RolloutView, verb: str) -> str:
    if found.phase in IN_PROGRESS and found.candidate is not None:
        return found.candidate.revision
    if found.phase == RolloutPhase.FINALIZING:
        raise Refused(f"{found.title} has been promoted; to go back, revert the spec")
    if found.phase in WITHDRAWING:
        raise Refused(f"the candidate of {found.title} is being taken away already ({found.phase})")
    if found.phase == RolloutPhase.FAILED:
        raise Refused(
            f"the rollout of {found.title} has failed and is over; `retry` tries it again"
        )
    raise Refused(f"{found.title} has no rollout under way ({found.phase}): nothing to {verb}")
