"""Version 1 of a pod's rendering. Never changed: see `pods`.

Only what we mean to own is written, and only in the spelling that KServe's webhooks and Go give
back: no empty text, no false where Go leaves it out, quantities canonical.
"""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService, Spec
from dfastllm_operator.api.pod import Env
from dfastllm_operator.core import Json, Revision
from dfastllm_operator.resources import scheduling_v1, volumes_v1
from dfastllm_operator.resources.pod import CONFIG_DIRECTORY, CONFIG_FILE, RenderedPod
from dfastllm_operator.serverconfig import PORT, pre_stop_s, server_config

STORAGE_SECRET = "serving.kserve.io/storageSecretName"
VISIBILITY = "networking.kserve.io/visibility"
PORT_NAME = "http1"

STARTUP_PERIOD_S = 10


def render(service: DFastLLMService, revision: Revision) -> RenderedPod:
    """`service.spec` holds the inputs of `revision`."""
    spec = service.spec
    gpu = scheduling_v1.gpu_of(spec, revision)
    return RenderedPod(
        labels=_labels(service, revision),
        annotations=_annotations(spec),
        spec=_pod(service, gpu, names.revision(service.name, revision.hash)),
        container=_container(spec, revision),
        config=server_config(
            service, gpu=gpu is not None, former_names=revision.resolved.former_names
        ),
        built_in=spec.model.built_in,
        storage_uri=_storage_uri(spec),
        model_format=spec.model.format.value,
    )


def _labels(service: DFastLLMService, revision: Revision) -> dict[str, str]:
    """The visibility is for KServe's ingress, which reads the InferenceService's own.

    KServe copies that into the pods too; said here, it stays the same there when it changes.
    """
    return {
        **service.spec.pod_labels,
        **names.labels(service.name),
        names.REVISION_LABEL: revision.hash,
        VISIBILITY: "cluster-local",
    }


def _annotations(spec: Spec) -> dict[str, str]:
    annotations = dict(spec.pod_annotations)
    if spec.model.storage_secret_ref is not None:
        annotations[STORAGE_SECRET] = spec.model.storage_secret_ref.name
    return annotations


def _storage_uri(spec: Spec) -> str | None:
    if spec.model.built_in:
        return None
    revision = f":{spec.model.revision}" if spec.model.revision else ""
    return f"{spec.model.uri}{revision}"


def _pod(service: DFastLLMService, gpu: str | None, config_map: str) -> Json:
    spec = service.spec
    pod: Json = {
        "serviceAccountName": spec.service_account_name or names.dns_label(service.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes_v1.volumes(spec, config_map),
        **scheduling_v1.scheduling(service, gpu),
    }
    if spec.priority_class_name is not None:
        pod["priorityClassName"] = spec.priority_class_name
    if spec.runtime_class_name is not None:
        pod["runtimeClassName"] = spec.runtime_class_name
    if spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret.name} for secret in spec.image_pull_secrets]
    return pod


def _container(spec: Spec, revision: Revision) -> Json:
    container: Json = {
        "image": revision.resolved.image,
        "env": _env(spec),
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": {
            "requests": dict(revision.resolved.requests),
            "limits": dict(revision.resolved.limits),
        },
        "volumeMounts": volumes_v1.mounts(spec),
        "startupProbe": {
            **_probe("/health/ready", STARTUP_PERIOD_S),
            "failureThreshold": -(-spec.startup_timeout_s // STARTUP_PERIOD_S),
        },
        "readinessProbe": {**_probe("/health/ready", 5), "failureThreshold": 3},
        "livenessProbe": {**_probe("/health/live", 10), "failureThreshold": 3},
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    sleep_s = pre_stop_s(spec.termination_grace_period_seconds)
    if sleep_s:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": sleep_s}}}
    return container


def _probe(path: str, period_s: int) -> Json:
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
    }


def _env(spec: Spec) -> list[Json]:
    """Ours first; a user's HF_HOME replaces ours."""
    own = {
        "DFASTLLM_CONFIG": f"{CONFIG_DIRECTORY}/{CONFIG_FILE}",
        "HF_HOME": f"{volumes_v1.TMP}/huggingface",
    }
    said = {env.name: _variable(env) for env in spec.env}
    ours = [{"name": name, "value": value} for name, value in own.items() if name not in said]
    return [*ours, *said.values()]


def _variable(env: Env) -> Json:
    if env.value_from is None:
        return {"name": env.name, "value": env.value} if env.value else {"name": env.name}
    dumped = env.value_from.model_dump(mode="json", by_alias=True, exclude_none=True)
    for source in dumped.values():
        if not source.get("optional", True):
            del source["optional"]
    return {"name": env.name, "valueFrom": dumped}
