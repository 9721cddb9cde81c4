"""From what a rollout wants the cluster to look like to a plan that can be rendered. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from dfastllm_operator.api import with_pod_inputs
from dfastllm_operator.canary.decision import Arrangement
from dfastllm_operator.canary.history import Recorded, kept, needed, next_number
from dfastllm_operator.canary.observation import Observation
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Placement, Revision
from dfastllm_operator.decide import Plan, recorded_revisions
from dfastllm_operator.delivery.sizes import range_of, replicas_of
from dfastllm_operator.errors import Refuse
from dfastllm_operator.observe import Observed
from dfastllm_operator.resources.pods import RENDER_VERSIONS


def known_revisions(observed: Observed, plan: Plan) -> dict[str, Revision]:
    """Recorded revisions by hash, and the one that the spec asks for."""
    asked = {placement.revision.hash: placement.revision for placement in plan.placements}
    return {**asked, **recorded_revisions(observed)}


def placed(
    plan: Plan,
    arrangement: Arrangement,
    status: RolloutStatus,
    revisions: Mapping[str, Revision],
    seen: Observation,
    *,
    limit: int,
) -> Plan:
    """`plan` with the slots of `arrangement`, stable first; `limit` is that of former records.

    A slot whose revision has no record any more cannot be rendered: without stable's nothing is
    touched, and the plan says why.
    """
    slots = {slot.slot: slot for slot in arrangement.slots}
    stable = revisions.get(slots[arrangement.serving].revision)
    if stable is None:
        lost = slots[arrangement.serving].revision
        return replace(plan, placements=(), problem=_lost(lost))
    wanted = plan.placements[0].revision
    places = [
        Placement(
            slot.slot,
            revisions[slot.revision],
            arrangement.weights.get(slot.slot),
            replicas_of(slot, plan.spec, arrangement, status, seen),
        )
        for slot in arrangement.slots
        if slot.revision in revisions
    ]
    places.sort(key=lambda place: place.slot != arrangement.serving)
    standing = replace(
        plan,
        spec=with_pod_inputs(plan.spec, stable.inputs),
        placements=tuple(places),
        scaling=range_of(plan.spec, arrangement, seen),
    )
    return _remembering(standing, wanted.hash, needed(status, wanted.hash), revisions, limit)


def remembering(plan: Plan, revisions: Mapping[str, Revision], *, limit: int) -> Plan:
    """`plan` of a service that has no rollout, with `limit` records of former revisions.

    One that is asked for again is restored from its record, whatever the strategy is.
    """
    if not plan.placements:
        return plan
    wanted = plan.placements[0].revision.hash
    return _remembering(plan, wanted, {wanted}, revisions, limit)


def _remembering(
    plan: Plan,
    wanted: str,
    needed: Collection[str],
    revisions: Mapping[str, Revision],
    limit: int,
) -> Plan:
    numbers = dict(plan.numbers)
    if wanted not in numbers:
        numbers[wanted] = next_number(_records(numbers), wanted)
    stay = kept(_records(numbers), needed, plan.used, limit)
    placed = {place.revision.hash for place in plan.placements}
    others = [revisions[h] for h in sorted(stay - placed) if h in revisions]
    return replace(
        plan,
        kept=tuple(r for r in others if r.render_version in RENDER_VERSIONS),
        used=plan.used | stay,
        numbers=numbers,
    )


def _records(numbers: Mapping[str, int]) -> list[Recorded]:
    return [Recorded(revision, number) for revision, number in numbers.items()]


def _lost(revision: str) -> Refuse:
    return Refuse(
        Reason.RECORD_LOST,
        f"The record (ControllerRevision) of the serving revision {revision} was deleted, and the "
        "spec asks for another: nothing is changed. Set the spec to what serves, or "
        "rollout.strategy to RollingUpdate after removing status.rollout.",
    )
