"""How many replicas each side may have: sizes in proportion to stable, within the GPUs there are.

Pods on their way out still hold their GPUs, and count. What is updated in place counts by the
larger of its two revisions until no pod of the former one is left.
"""

import math

from dfastllm_operator.canary.decision import Bounds
from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.policy import Step

ALL = 100


def size_for(look: Look, step: Step) -> int:
    """Replicas that the candidate needs before it gets the weight of `step`."""
    stable = max(1, look.stable_seen.wanted)
    if step.weight >= ALL:
        return max(stable, step.replicas or 0)
    return step.replicas or max(1, math.ceil(stable * step.weight / ALL))


def most_for(look: Look) -> int:
    """The most replicas that the candidate will need, stable staying as it is."""
    return max(size_for(look, step) for step in (*look.spec.steps, Step(ALL)))


def fits(look: Look, replicas: int, revision: str, slot: str) -> bool:
    """Whether `revision` can have so many replicas in `slot`, beside stable."""
    limit = look.spec.max_gpus
    if limit is None:
        return True
    wanted = look.gpus_of(revision) * max(replicas, look.seen.slot(slot).pods)
    return _gpus_leaving(look) + _gpus_of_stable(look) + wanted <= limit


def allowed(look: Look, replicas: int, revision: str) -> int:
    """As many of `replicas` as there are GPUs for now."""
    limit, each = look.spec.max_gpus, look.gpus_of(revision)
    if limit is None or not each:
        return replicas
    left = limit - _gpus_leaving(look) - _gpus_of_stable(look)
    return max(0, min(replicas, left // each))


def most_in_place(look: Look) -> int | None:
    """Replicas of the wanted revision that there may be in stable's slot; None: all there are.

    Only larger pods make the service grow.
    """
    limit, each = look.spec.max_gpus, look.gpus_of(look.seen.wanted)
    return None if limit is None or each <= _each_of_stable(look) else limit // each


def fits_in_place(look: Look) -> bool:
    """Whether the pods of stable can become pods of the wanted revision, all of them."""
    limit, most, seen = look.spec.max_gpus, most_in_place(look), look.stable_seen
    if limit is None or most is None:
        return True
    there = look.gpus_of(look.seen.wanted) * max(seen.pods, seen.wanted)
    return most > 0 and _gpus_leaving(look) + there <= limit


def bounds(look: Look, *, in_place: bool = False) -> Bounds:
    """What `maxGPUs` and the rollout leave of stable's replicas.

    The GPUs only limit growth: a limit below what serves takes nothing away, nor do pods on their
    way out. At rest the cap follows a scaler that takes replicas away by itself. `in_place`: the
    wanted revision is to take stable's slot. Where its pods are larger there are fewer of them, and
    stable comes down to that number first.
    """
    status, present, going = look.status, look.stable_seen.wanted, _gpus_leaving(look)
    other = status.candidate or status.leaving
    if other is None:
        return Bounds(cap=_at_rest(look, most_in_place(look) if in_place else None))
    each, floor = look.gpus_of(other.revision), max(1, status.floor)
    if status.leaving is not None:
        kept = max(status.leaving.replicas, look.seen.slot(other.slot).pods)
        cap = _cap(look, going + kept * each, 0)
    else:
        fixed = max((step.replicas or 0 for step in look.spec.steps), default=0)
        fixed = max(fixed, status.replicas)
        caps = (_cap(look, going + fixed * each, 0), _cap(look, going, each))
        cap = None if None in caps else min(c for c in caps if c is not None)
    cap = None if cap is None else max(cap, floor, present)
    return Bounds(floor=floor, cap=cap, steady=True)


def _at_rest(look: Look, most: int | None) -> int | None:
    """`most` 0: nothing takes stable's place, and it stays as it is."""
    cap = _cap(look, _gpus_leaving(look), 0)
    caps = [] if cap is None else [max(cap, look.stable_seen.wanted, 1)]
    return min([*caps, *([most] if most else [])], default=None)


def _cap(look: Look, others: int, beside_each: int) -> int | None:
    """Replicas of stable, with `others` GPUs taken and `beside_each` taken for each replica."""
    limit = look.spec.max_gpus
    each = beside_each + _each_of_stable(look)
    if limit is None or not each:
        return None
    return max(0, limit - others) // each


def _gpus_of_stable(look: Look) -> int:
    seen = look.stable_seen
    return _each_of_stable(look) * max(seen.pods, seen.wanted)


def _each_of_stable(look: Look) -> int:
    stable = look.status.stable
    return max(look.gpus_of(stable.revision), look.stable_seen.gpus_each) if stable else 0


def _gpus_leaving(look: Look) -> int:
    return sum(slot.gpus_leaving for slot in look.seen.slots.values())
