"""The one object that decides on replicas: a HorizontalPodAutoscaler or KEDA's ScaledObject.

Both point at the Deployment that KServe makes. KServe's own scalers know neither fallback nor
cooldown, and no other metric than cpu and memory.

Of two slots it is the serving one's: a Deployment has one scaler, and a candidate has none. An HPA
measures the pods of its target, and a query names those of the slot.
"""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService, Spec
from dfastllm_operator.api.scaling import ScalerMetric, ScalerType
from dfastllm_operator.core import Child, Json, ReplicaRange
from dfastllm_operator.kinds import DEPLOYMENT, HPA, SCALED_OBJECT
from dfastllm_operator.resources.metadata import child

METRICS = {
    ScalerMetric.WAITING: "dfastllm_requests_waiting",
    ScalerMetric.RUNNING: "dfastllm_requests_running",
}
"""The server's gauges, by what a spec calls them."""

FAILURES_BEFORE_FALLBACK = 3

PODS = "$pods"
"""In a query of the user's own: a regular expression of the pods of the serving slot."""


def scaler(
    service: DFastLLMService, serving: str, within: ReplicaRange | None = None
) -> Child | None:
    """The scaler of the serving slot; None when the number is fixed or somebody else's.

    It keeps `within` that range, or else within the spec's.
    """
    scaling, within = service.spec.autoscaling, within or _asked(service)
    match scaling.type:
        case ScalerType.HPA:
            kind, content = HPA, _hpa(service, serving, within)
        case ScalerType.KEDA if scaling.keda is not None:  # a stored object may break the rule
            kind, content = SCALED_OBJECT, _scaled_object(service, serving, within)
        case _:
            return None
    return child(service, kind, names.dns_label(service.name), {"spec": content})


def _hpa(service: DFastLLMService, serving: str, within: ReplicaRange) -> Json:
    return {
        "scaleTargetRef": _target(service, serving),
        "minReplicas": max(1, within.least),
        "maxReplicas": within.most,
        "metrics": [_hpa_metric(service)],
        "behavior": _behavior(service, within),
    }


def _hpa_metric(service: DFastLLMService) -> Json:
    scaling = service.spec.autoscaling
    if scaling.metric == ScalerMetric.CPU:
        target = {"type": "Utilization", "averageUtilization": scaling.effective_target}
        return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    return {
        "type": "Pods",
        "pods": {
            "metric": {"name": METRICS[scaling.metric]},
            "target": {"type": "AverageValue", "averageValue": str(scaling.effective_target)},
        },
    }


def _scaled_object(service: DFastLLMService, serving: str, within: ReplicaRange) -> Json:
    spec = service.spec
    keda = spec.autoscaling.keda
    assert keda is not None, "a rule of the API asks for it"
    content: Json = {
        "scaleTargetRef": _target(service, serving),
        "minReplicaCount": within.least,
        "maxReplicaCount": within.most,
        "pollingInterval": keda.polling_interval_s,
        "cooldownPeriod": keda.cooldown_period_s,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(service, within)}},
        "triggers": [_trigger(service, serving)],
    }
    if spec.autoscaling.metric != ScalerMetric.CPU:  # KEDA falls back from averages only
        content["fallback"] = {
            "failureThreshold": FAILURES_BEFORE_FALLBACK,
            "replicas": keda.fallback_replicas or max(1, spec.replicas.min),
        }
    return content


def _trigger(service: DFastLLMService, serving: str) -> Json:
    scaling = service.spec.autoscaling
    keda = scaling.keda
    assert keda is not None, "a rule of the API asks for it"
    target = str(scaling.effective_target)
    if scaling.metric == ScalerMetric.CPU:
        return {"type": "cpu", "metricType": "Utilization", "metadata": {"value": target}}
    return {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": keda.server_address,
            "query": _query(service, serving),
            "threshold": target,
            # No data is no load to KEDA unless told otherwise: it would scale down for want of
            # metrics.
            "ignoreNullValues": "false",
        },
    }


def _query(service: DFastLLMService, serving: str) -> str:
    """The load of the whole slot, by the labels that a PodMonitor gives."""
    scaling = service.spec.autoscaling
    pods = f"{names.predictor(service.name, service.namespace, serving)}-.+"
    if scaling.keda is not None and scaling.keda.query is not None:
        return scaling.keda.query.replace(PODS, pods)
    return f'sum({METRICS[scaling.metric]}{{namespace="{service.namespace}",pod=~"{pods}"}})'


def _behavior(service: DFastLLMService, within: ReplicaRange) -> Json:
    seconds = service.spec.autoscaling.scale_down_stabilization_s
    never = {"selectPolicy": "Disabled"} if within.steady else {}
    return {"scaleDown": {"stabilizationWindowSeconds": seconds, **never}}


def _target(service: DFastLLMService, serving: str) -> Json:
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "name": names.predictor(service.name, service.namespace, serving),
    }


def _asked(service: DFastLLMService) -> ReplicaRange:
    return ReplicaRange(service.spec.replicas.min, most_replicas(service.spec))


def most_replicas(spec: Spec) -> int:
    """A rule of the API asks for a maximum; an object older than the rule stays as it is."""
    replicas = spec.replicas
    return replicas.max if replicas.max is not None else max(1, replicas.min)
