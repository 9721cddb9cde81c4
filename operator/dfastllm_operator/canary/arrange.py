"""What the cluster should look like for a status that has been written. Pure.

Everything here is level: drift of the route's weights or of a slot is put right by applying the
same arrangement again.
"""

from dfastllm_operator.canary.decision import Arrangement, SlotWanted
from dfastllm_operator.canary.hold import in_place
from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.room import ALL, allowed, bounds


def arrange(look: Look) -> Arrangement | None:
    """None while there is no revision at all."""
    stable = look.status.stable
    if stable is None:
        return None
    slots = [SlotWanted(stable.slot, stable.revision), *_beside(look)]
    weights = _weights(look, stable.slot)
    return Arrangement(
        slots=tuple(slots),
        weights=weights,
        serving=stable.slot,
        bounds=bounds(look, in_place=in_place(look)),
        remove=_removed(look),
    )


def _beside(look: Look) -> list[SlotWanted]:
    candidate, leaving = look.status.candidate, look.status.leaving
    if leaving is not None:
        there = SlotWanted(leaving.slot, leaving.revision, leaving.replicas)
        return [] if leaving.slot in _removed(look) else [there]
    if candidate is None:
        return []
    seen = look.candidate_seen
    replicas = max(min(look.status.replicas, seen.wanted), _affordable(look, candidate.revision))
    return [SlotWanted(candidate.slot, candidate.revision, replicas)] if replicas else []


def _affordable(look: Look, revision: str) -> int:
    return allowed(look, look.status.replicas, revision)


def _weights(look: Look, stable: str) -> dict[str, int]:
    """A backend comes into the route with its first weight, and stays while its slot drains."""
    status = look.status
    if status.candidate is not None:
        share = status.weight if look.candidate_seen.ready else 0
        return {stable: ALL - share, **_backend(look, status.candidate.slot, share)}
    if status.leaving is not None and not status.leaving.drained:
        return {stable: ALL, **_backend(look, status.leaving.slot, 0)}
    return {stable: ALL}


def _backend(look: Look, slot: str, share: int) -> dict[str, int]:
    route = look.seen.route
    known = route is not None and slot in route.weights
    return {slot: share} if share or known else {}


def _removed(look: Look) -> tuple[str, ...]:
    """A drained slot goes once neither the route nor the address names it any more."""
    leaving, route = look.status.leaving, look.seen.route
    if leaving is None or not leaving.drained:
        return ()
    if route is not None and leaving.slot in route.weights:
        return ()
    if look.leads_to(leaving.slot):
        return ()
    return (leaving.slot,)
