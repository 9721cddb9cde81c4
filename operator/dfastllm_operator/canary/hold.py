"""Why a change is held: it asks for a canary, or for larger pods in stable's slot. Pure."""

from dfastllm_operator.canary.lingering import named
from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.observation import Obstacle
from dfastllm_operator.canary.phase import IN_PROGRESS, Cause, RolloutPhase
from dfastllm_operator.canary.policy import Strategy
from dfastllm_operator.canary.room import fits, fits_in_place, most_for, most_in_place
from dfastllm_operator.conditions import Reason

WAY_OUT = "rollout.strategy RollingUpdate would go without a gate."


def obstacle(look: Look) -> Obstacle | None:
    """What a canary of the wanted revision lacks now."""
    if look.seen.obstacles:
        first = look.seen.obstacles[0]
        return Obstacle(first.reason, f"{first.message} {WAY_OUT}")
    if not look.seen.slot(look.free_slot).empty:
        return _busy(look, look.free_slot)
    most = most_for(look)
    if not fits(look, most, look.seen.wanted, look.free_slot):
        each = look.gpus_of(look.seen.wanted)
        return Obstacle(
            Reason.NO_ROOM,
            f"{most} replicas of revision {look.seen.wanted} with {each} GPUs each do not fit "
            f"maxGPUs {look.spec.max_gpus} beside stable: raise it, or lower replicas. {WAY_OUT}",
        )
    return None


def _busy(look: Look, slot: str) -> Obstacle:
    late = named(look.seen.slot(slot).going, look.now)
    text = f"Pods of a former revision still hold slot {slot}. {late}"
    return Obstacle(Reason.SLOT_BUSY, text.strip())


def gated(look: Look) -> bool:
    """Whether the change waits for a canary.

    Without a ready stable there is nothing to compare with and nobody to protect. But a change that
    is held does not slip out while the pods of stable are replaced: there, stable serves on soon.
    """
    if look.spec.strategy is not Strategy.CANARY:
        return False
    if look.stable_seen.ready_pods:
        return True
    return look.coming_back and obstacle(look) is not None


def in_place(look: Look) -> bool:
    """Whether the change is to be made in stable's own slot."""
    return look.status.phase is RolloutPhase.STABLE and look.moved_on and not gated(look)


def held(look: Look) -> Obstacle | None:
    """What holds a change at this moment, for the condition RolloutBlocked."""
    status = look.status
    if status.phase in IN_PROGRESS:
        return _midway(look)
    if in_place(look):
        return _too_large(look)
    if not look.moved_on or status.candidate or not gated(look):
        return None
    if look.seen.wanted == status.failed:
        return None
    return _waiting(look) if status.leaving else obstacle(look)


def _too_large(look: Look) -> Obstacle | None:
    """Pods that take the place of smaller ones wait until there are few enough of those."""
    if fits_in_place(look):
        return None
    most, there = most_in_place(look), look.stable_seen
    text = (
        f"Of revision {look.seen.wanted} with {look.gpus_of(look.seen.wanted)} GPUs each maxGPUs "
        f"{look.spec.max_gpus} has room for {most or 'none'}"
    )
    if not most:
        return Obstacle(Reason.NO_ROOM, f"{text}: raise it.")
    gone = f", and {there.leaving} pods are on their way out" if there.leaving else ""
    now = f"it asks for {there.wanted} replicas{gone}"
    return Obstacle(Reason.NO_ROOM, f"{text}. The change waits until stable has no more: {now}.")


def _waiting(look: Look) -> Obstacle | None:
    """A newer revision waits for the slot of one that leaves: not worth a word, unless it stays."""
    leaving = look.status.leaving
    if leaving is None or look.seen.wanted == leaving.revision:
        return None
    if leaving.addressed and look.past(leaving.since, look.spec.gateway_lag_s):
        text = f"Slot {leaving.slot} is in use: the address inside the cluster still leads to it."
        return Obstacle(Reason.SLOT_BUSY, text)
    late = named(look.seen.slot(leaving.slot).going, look.now)
    return _busy(look, leaving.slot) if late else None


def _midway(look: Look) -> Obstacle | None:
    """What stops a candidate that was accepted; it keeps what it has of size and traffic."""
    if look.routeless:
        first = look.seen.obstacles[0]
        return Obstacle(first.reason, f"{first.message} {WAY_OUT}")
    if look.status.phase is RolloutPhase.PAUSED and look.status.cause is Cause.NO_ROOM:
        return Obstacle(Reason.NO_ROOM, f"{look.status.message} {WAY_OUT}")
    return None
