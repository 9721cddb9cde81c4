"""The InferenceService of a slot: what KServe makes Deployment and pods from."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService, Spec
from dfastllm_operator.api.rollout import RolloutStrategy
from dfastllm_operator.api.scaling import ScalerType
from dfastllm_operator.core import Child, Json, Placement, Platform
from dfastllm_operator.kinds import INFERENCE_SERVICE
from dfastllm_operator.resources.metadata import child
from dfastllm_operator.resources.pod import RenderedPod
from dfastllm_operator.resources.pod_v1 import VISIBILITY
from dfastllm_operator.resources.route import own_gateway
from dfastllm_operator.revision import gpus_of

CONTAINER = "kserve-container"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
AUTOSCALER_CLASS = "serving.kserve.io/autoscalerClass"


def inference_service(
    service: DFastLLMService,
    placement: Placement,
    pod: RenderedPod,
    platform: Platform,
    *,
    replicas: int,
) -> Child:
    """`replicas` counts only without a scaler.

    KServe copies the labels and annotations of this object into the pod's template. What of them
    may change without a restart is fixed in the pod's own labels. The autoscaler class cannot be:
    KServe reads it from the Deployment, which is labelled and annotated as its pods are.
    """
    fixed = service.spec.autoscaling.type == ScalerType.NONE
    annotations = {
        DEPLOYMENT_MODE: "Standard",
        AUTOSCALER_CLASS: "none" if fixed else "external",
    }
    predictor: Json = {
        **_server(pod, platform),
        **pod.spec,
        "labels": pod.labels,
        "annotations": {**pod.annotations, **annotations},
        "timeout": service.spec.ingress.timeout_s,
        "deploymentStrategy": _strategy(service.spec, gpus_of(placement.revision)),
    }
    if fixed:
        predictor["minReplicas"] = replicas
    labels = {names.REVISION_LABEL: placement.revision.hash}
    kserve_route = service.spec.ingress.enabled and own_gateway(service.spec, platform) is None
    if not kserve_route:
        labels[VISIBILITY] = "cluster-local"
    return child(
        service,
        INFERENCE_SERVICE,
        names.inference_service(service.name, service.namespace, placement.slot),
        {"spec": {"predictor": predictor}},
        labels=labels,
        annotations=annotations,
    )


def _server(pod: RenderedPod, platform: Platform) -> Json:
    """A model without an address is a multi-model server to KServe; so it is a plain container."""
    uris = {"storageUris": list(pod.storage_uris)} if pod.storage_uris else {}
    if pod.built_in:
        return {"containers": [{"name": CONTAINER, **pod.container}], **uris}
    uri = {"storageUri": pod.storage_uri} if pod.storage_uri is not None else {}
    return {
        "model": {
            "modelFormat": {"name": pod.model_format},
            "runtime": platform.runtime,
            **uri,
            **pod.container,
        },
        **uris,
    }


def _strategy(spec: Spec, gpus: int) -> Json:
    """How the Deployment goes about an update in the slot itself; a pod has `gpus` GPUs."""
    if spec.rollout is not None and spec.rollout.strategy is RolloutStrategy.RECREATE:
        return {"type": "Recreate"}
    surge = 1 if _fits_one_more(spec, gpus) else 0
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1 - surge},
    }


def _fits_one_more(spec: Spec, gpus: int) -> bool:
    """Whether `maxGPUs` has room for a pod beside all that there may be."""
    limit = spec.rollout.max_gpus if spec.rollout is not None else None
    most = spec.replicas.max or spec.replicas.min
    return limit is None or (most + 1) * gpus <= limit
