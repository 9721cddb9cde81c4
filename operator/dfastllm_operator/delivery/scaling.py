"""Whether the scaler of a service works, as it says itself. Pure."""

from dfastllm_operator import names
from dfastllm_operator.api.scaling import ScalerMetric, ScalerType
from dfastllm_operator.kinds import HPA, SCALED_OBJECT, Kind
from dfastllm_operator.observe import Observed


def scaler_healthy(observed: Observed) -> bool | None:
    """None: there is none of ours, it has not said, or its metrics never were there.

    An HPA whose metrics API the cluster lacks scaled nothing before the rollout either; condition
    ScalerReady says so, and no rollout waits for it.
    """
    scaling = observed.service.spec.autoscaling
    match scaling.type:
        case ScalerType.KEDA:
            return _all_true(observed, SCALED_OBJECT, "Ready")
        case ScalerType.HPA:
            cpu = scaling.metric == ScalerMetric.CPU
            needed = "metrics.k8s.io" if cpu else "custom.metrics.k8s.io"
            if needed in observed.platform.metrics_apis:
                return _all_true(observed, HPA, "AbleToScale", "ScalingActive")
    return None


def _all_true(observed: Observed, kind: Kind, *conditions: str) -> bool | None:
    seen = observed.owned(kind, names.dns_label(observed.service.name))
    said = (seen.body.get("status") or {}).get("conditions") or [] if seen is not None else []
    found = {c.get("type"): c for c in said}
    words = [found.get(name, {}).get("status", "Unknown") for name in conditions]
    if "False" in words:
        return False
    return None if "Unknown" in words else True
