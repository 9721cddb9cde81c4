"""The one object that decides on replicas: a HorizontalPodAutoscaler or KEDA's ScaledObject.

Both point at the Deployment that KServe makes. KServe's own scalers know neither fallback nor
cooldown, and no other metric than cpu and memory.
"""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.api.scaling import ScalerMetric, ScalerType
from dfastllm_operator.core import Child, Json
from dfastllm_operator.kinds import DEPLOYMENT, HPA, SCALED_OBJECT
from dfastllm_operator.resources.metadata import child

METRICS = {
    ScalerMetric.WAITING: "dfastllm_requests_waiting",
    ScalerMetric.RUNNING: "dfastllm_requests_running",
}
"""The server's gauges, by what a spec calls them."""

FAILURES_BEFORE_FALLBACK = 3


def scaler(service: DFastLLMService, serving: str) -> Child | None:
    """The scaler of the serving slot; None when the number is fixed or somebody else's."""
    scaling = service.spec.autoscaling
    match scaling.type:
        case ScalerType.HPA:
            kind, content = HPA, _hpa(service, serving)
        case ScalerType.KEDA if scaling.keda is not None:  # a stored object may break the rule
            kind, content = SCALED_OBJECT, _scaled_object(service, serving)
        case _:
            return None
    return child(service, kind, names.dns_label(service.name), {"spec": content})


def _hpa(service: DFastLLMService, serving: str) -> Json:
    spec = service.spec
    return {
        "scaleTargetRef": _target(service, serving),
        "minReplicas": max(1, spec.replicas.min),
        "maxReplicas": _most(service),
        "metrics": [_hpa_metric(service)],
        "behavior": _behavior(service),
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


def _scaled_object(service: DFastLLMService, serving: str) -> Json:
    spec = service.spec
    keda = spec.autoscaling.keda
    assert keda is not None, "a rule of the API asks for it"
    content: Json = {
        "scaleTargetRef": _target(service, serving),
        "minReplicaCount": spec.replicas.min,
        "maxReplicaCount": _most(service),
        "pollingInterval": keda.polling_interval_s,
        "cooldownPeriod": keda.cooldown_period_s,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(service)}},
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
            "query": keda.query or _query(service, serving),
            "threshold": target,
            # No data is no load to KEDA unless told otherwise: it would scale down for want of
            # metrics.
            "ignoreNullValues": "false",
        },
    }


def _query(service: DFastLLMService, serving: str) -> str:
    """The load of the whole slot, by the labels that a PodMonitor gives."""
    metric = METRICS[service.spec.autoscaling.metric]
    pods = f"{names.predictor(service.name, service.namespace, serving)}-.+"
    return f'sum({metric}{{namespace="{service.namespace}",pod=~"{pods}"}})'


def _behavior(service: DFastLLMService) -> Json:
    seconds = service.spec.autoscaling.scale_down_stabilization_s
    return {"scaleDown": {"stabilizationWindowSeconds": seconds}}


def _target(service: DFastLLMService, serving: str) -> Json:
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "name": names.predictor(service.name, service.namespace, serving),
    }


def _most(service: DFastLLMService) -> int:
    """A rule of the API asks for a maximum; an object older than the rule stays as it is."""
    replicas = service.spec.replicas
    return replicas.max if replicas.max is not None else max(1, replicas.min)
