"""How many replicas each slot of a rollout has, and what is left to a scaler. Pure.

Without a scaler every number goes into the InferenceService. With one, stable's is the scaler's,
and that of the other slot is written to its Deployment, as `pinning` does it.
"""

from dfastllm_operator.api import Spec
from dfastllm_operator.api.scaling import ScalerType
from dfastllm_operator.canary.decision import Arrangement, Bounds, SlotWanted
from dfastllm_operator.canary.observation import Observation
from dfastllm_operator.canary.phase import IN_PROGRESS
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.core import ReplicaRange
from dfastllm_operator.resources.scaler import most_replicas

OURS = (ScalerType.HPA, ScalerType.KEDA)


def replicas_of(
    slot: SlotWanted, spec: Spec, wanted: Arrangement, status: RolloutStatus, seen: Observation
) -> int | None:
    """None: the number is the scaler's, or somebody else's.

    A slot on its way out keeps what it has: the scaler may have added to it until it was pointed at
    the other one, and less would cut answers that still run. A scaler that is not ours may be there
    still, and is not contradicted.
    """
    scaler = spec.autoscaling.type
    if slot.slot == wanted.serving:
        return _fixed(spec, wanted.bounds) if scaler == ScalerType.NONE else None
    if scaler == ScalerType.NONE or status.phase in IN_PROGRESS or slot.replicas is None:
        return slot.replicas
    return max(slot.replicas, seen.slot(slot.slot).wanted) if scaler in OURS else None


def range_of(spec: Spec, wanted: Arrangement, seen: Observation) -> ReplicaRange | None:
    """What a scaler of ours may choose from; None when there is none.

    A maximum below what runs makes a scaler take replicas away, whatever else it was told: during a
    rollout it is never set there.
    """
    if spec.autoscaling.type not in OURS:
        return None
    bounds, most = wanted.bounds, most_replicas(spec)
    most = max(1, most if bounds.cap is None else min(most, bounds.cap))
    if not bounds.steady:
        return ReplicaRange(min(spec.replicas.min, most), most)
    floor = bounds.floor or 1
    most = max(most, floor, seen.slot(wanted.serving).wanted)
    return ReplicaRange(min(max(spec.replicas.min, floor), most), most, steady=True)


def _fixed(spec: Spec, bounds: Bounds) -> int:
    count = spec.replicas.min
    if bounds.floor is not None and bounds.steady:
        count = max(count, bounds.floor)
    return count if bounds.cap is None else min(count, bounds.cap)
