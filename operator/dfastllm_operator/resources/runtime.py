"""The serving runtimes that come with the operator, for one namespace or the whole cluster.

`dfastllm` is for people who write InferenceServices themselves. `dfastllm-operator` is what the
operator's own refer to: it says nothing but the model formats, since KServe rolls out a changed
runtime to all pods that use it, and an operator upgrade must restart none.
"""

import json

from dfastllm_operator.api.model import ModelFormat
from dfastllm_operator.core import Json
from dfastllm_operator.kinds import SERVING_RUNTIME
from dfastllm_operator.places import MODEL_DIRECTORY
from dfastllm_operator.resources.pod_v1 import PORT_NAME
from dfastllm_operator.serverconfig import PORT, drain_s, pre_stop_s

PUBLIC_NAME = "dfastllm"
OPERATOR_NAME = "dfastllm-operator"
CONTAINER = "kserve-container"

KSERVE_GRACE_S = 30
"""Termination grace period of an InferenceService that says none; a runtime cannot set it."""

STARTUP_S = 1800


def runtimes(image: str, version: str, *, namespace: str | None = None) -> list[Json]:
    """Both runtimes; without a namespace they are for the whole cluster."""
    public = _runtime(
        PUBLIC_NAME,
        namespace,
        {
            "annotations": _metrics_annotations(),
            "supportedModelFormats": [
                {"name": form.value, "version": "1", "autoSelect": True, "priority": 1}
                for form in ModelFormat
            ],
            "containers": [_container(image)],
            "volumes": [{"name": "dfastllm-tmp", "emptyDir": {}}],
        },
    )
    public["metadata"]["annotations"] |= _openshift_annotations(version)
    public["metadata"]["labels"] |= {"opendatahub.io/dashboard": "true"}
    operators = _runtime(
        OPERATOR_NAME,
        namespace,
        {
            "supportedModelFormats": [{"name": form.value} for form in ModelFormat],
            "containers": [{"name": CONTAINER}],
        },
    )
    return [public, operators]


def _runtime(name: str, namespace: str | None, spec: Json) -> Json:
    """The server type keeps KServe from guessing one by the name and rewriting the image."""
    metadata: Json = {
        "name": name,
        "labels": {"app.kubernetes.io/name": "dfastllm"},
        "annotations": {"serving.kserve.io/server-type": "dfastllm"},
    }
    if namespace is not None:
        metadata["namespace"] = namespace
    scope = "" if namespace is not None else "Cluster"
    return {
        "apiVersion": SERVING_RUNTIME.api_version,
        "kind": f"{scope}{SERVING_RUNTIME.kind}",
        "metadata": metadata,
        "spec": {"multiModel": False, "protocolVersions": ["v2", "v1"], **spec},
    }


def _metrics_annotations() -> dict[str, str]:
    """Where metrics are, for KServe and for OpenShift AI.

    Its dashboard for `vllm` works, as the server has its numbers under vLLM's names too.
    """
    return {
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
        "prometheus.kserve.io/port": str(PORT),
        "prometheus.kserve.io/path": "/metrics",
        "opendatahub.io/kserve-runtime": "vllm",
    }


def _openshift_annotations(version: str) -> dict[str, str]:
    return {
        "openshift.io/display-name": "dfastllm: diffusion language models",
        "opendatahub.io/apiProtocol": "REST",
        "opendatahub.io/model-type": json.dumps(["generative"]),
        "opendatahub.io/recommended-accelerators": json.dumps(["nvidia.com/gpu"]),
        "opendatahub.io/runtime-version": version,
    }


def _container(image: str) -> Json:
    """Ready for any model KServe puts in its place; the served name is the InferenceService's."""
    env = {
        "DFASTLLM_MODEL": MODEL_DIRECTORY,
        "DFASTLLM_GRACE_PERIOD_S": str(drain_s(KSERVE_GRACE_S)),
        "HF_HOME": "/tmp/huggingface",
    }
    return {
        "name": CONTAINER,
        "image": image,
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
        "volumeMounts": [{"name": "dfastllm-tmp", "mountPath": "/tmp"}],
        "startupProbe": {**_probe("/health/ready", 10), "failureThreshold": STARTUP_S // 10},
        "readinessProbe": {**_probe("/health/ready", 5), "failureThreshold": 3},
        "livenessProbe": {**_probe("/health/live", 10), "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": pre_stop_s(KSERVE_GRACE_S)}}},
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _probe(path: str, period_s: int) -> Json:
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
    }
