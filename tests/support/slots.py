"""Two slots of a service, and its route, as the API server gives them."""

from typing import Any

from dfastllm_operator import names
from dfastllm_operator.core import Json, Seen
from dfastllm_operator.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD,
)

OWNER = [{"kind": "DFastLLMService", "name": "demo", "uid": "u-1", "controller": True}]


def inference_service(slot: str, revision: str) -> Seen:
    metadata = {
        "name": f"demo-{slot}",
        "uid": f"isvc-{slot}",
        "labels": {names.REVISION_LABEL: revision},
        "ownerReferences": OWNER,
    }
    return Seen(INFERENCE_SERVICE, {"metadata": metadata})


def deployment(slot: str, revision: str, replicas: int) -> Seen:
    template = {"metadata": {"labels": {names.REVISION_LABEL: revision}}}
    return Seen(
        DEPLOYMENT,
        {
            "metadata": {"name": f"demo-{slot}-predictor", "generation": 1},
            "spec": {"replicas": replicas, "template": template},
            "status": {
                "observedGeneration": 1,
                "replicas": replicas,
                "readyReplicas": replicas,
                "updatedReplicas": replicas,
                "availableReplicas": replicas,
            },
        },
    )


def pod(
    slot: str,
    revision: str,
    number: int = 0,
    *,
    ready: bool = True,
    phase: str = "Running",
    **meta: Any,
) -> Seen:
    metadata = {
        "name": f"demo-{slot}-predictor-{number}",
        "labels": {"app": f"isvc.demo-{slot}-predictor", names.REVISION_LABEL: revision},
        **meta,
    }
    condition = {"type": "Ready", "status": str(ready)}
    status = {"phase": phase, "conditions": [condition], "podIP": "10.0.0.1"}
    return Seen(POD, {"metadata": metadata, "status": status})


def loading(slot: str, revision: str, number: int = 0) -> Seen:
    """A pod that has a node and was never ready, as its node tells it."""
    made = pod(slot, revision, number, ready=False)
    since = "2026-01-01T00:00:00Z"
    made.body["status"]["conditions"] = [
        {"type": "Initialized", "status": "True", "lastTransitionTime": since},
        {"type": "Ready", "status": "False", "lastTransitionTime": since},
    ]
    return made


def waiting(slot: str, revision: str, number: int = 0) -> Seen:
    """A pod that no node has room for."""
    made = pod(slot, revision, number, phase="Pending")
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    made.body["status"] = {"phase": "Pending", "conditions": [scheduled]}
    return made


def endpoints(slot: str, replicas: int, ready: int) -> Seen:
    """What gateways know of the pods of a slot."""
    service = f"demo-{slot}-predictor"
    labels = {"kubernetes.io/service-name": service, "component": "predictor"}
    found = [{"conditions": {"ready": number < ready}} for number in range(replicas)]
    return Seen(
        ENDPOINT_SLICE,
        {"metadata": {"name": f"{service}-x7k2p", "labels": labels}, "endpoints": found},
    )


def slot(name: str, revision: str, *, replicas: int = 1, ready: int | None = None) -> list[Seen]:
    """A slot with all that KServe makes of it."""
    up = replicas if ready is None else ready
    pods = [pod(name, revision, number, ready=number < up) for number in range(replicas)]
    made = [inference_service(name, revision), deployment(name, revision, replicas)]
    return [*made, *pods, endpoints(name, replicas, up)]


def route(weights: dict[str, int], *, generation: int = 4, reported: int = 4) -> Seen:
    """The route, and the generation that its controller has looked at."""
    backends = [
        {"name": f"demo-{s}-predictor", "weight": w, "port": 80} for s, w in weights.items()
    ]
    conditions: list[Json] = [
        {"type": kind, "status": "True", "observedGeneration": reported}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return Seen(
        HTTP_ROUTE,
        {
            "metadata": {"name": "demo", "generation": generation, "ownerReferences": OWNER},
            "spec": {"parentRefs": [{"name": "gateway"}], "rules": [{"backendRefs": backends}]},
            "status": {"parents": [{"conditions": conditions}]},
        },
    )
