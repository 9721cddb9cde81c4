"""Where pods of render version 1 may run: GPU nodes, and what the user says of nodes. Frozen."""

from typing import Any

from dfastllm_operator.api import DFastLLMService, Spec
from dfastllm_operator.api.pod import Toleration, TopologySpread
from dfastllm_operator.api.quantity import amount
from dfastllm_operator.core import Json, Revision
from dfastllm_operator.resources.metadata import pod_selector, without_nulls

GPU_PRODUCT = "nvidia.com/gpu.product"
GPU_MEMORY = "nvidia.com/gpu.memory"

SHOWN_OF_MEMORY = 0.93
"""A node's label counts what the driver shows: error correction may take a sixteenth."""

_MI = 2**20


def gpu_of(spec: Spec, revision: Revision) -> str | None:
    """Name of the resource that counts the pod's GPUs; None: it gets none."""
    gpu = spec.resources.gpu
    name = gpu.resource_name if gpu is not None else "nvidia.com/gpu"
    return name if name in revision.resolved.limits else None


def scheduling(service: DFastLLMService, gpu_name: str | None) -> Json:
    """The fields of a pod that say where it may run."""
    spec = service.spec
    selector = dict(spec.node_selector)
    gpu = spec.resources.gpu
    if gpu_name and gpu is not None and gpu.product is not None:
        selector[GPU_PRODUCT] = gpu.product
    parts: Json = {
        "nodeSelector": selector,
        "tolerations": _tolerations(spec, gpu_name),
        "affinity": _affinity(spec, gpu_name),
        "topologySpreadConstraints": [
            _spread(service, one) for one in spec.topology_spread_constraints
        ],
    }
    return {name: value for name, value in parts.items() if value}


def _tolerations(spec: Spec, gpu_name: str | None) -> list[Json]:
    """The user's, and one for the taint that keeps other pods from nodes with GPUs."""
    said = [_toleration(one) for one in spec.tolerations]
    own = {"key": gpu_name, "operator": "Exists"}
    return said if gpu_name is None or own in said else [*said, own]


def _toleration(one: Toleration) -> Json:
    dumped: Json = one.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not dumped.get("value"):
        dumped.pop("value", None)
    return dumped


def _affinity(spec: Spec, gpu_name: str | None) -> Json:
    affinity: Json = without_nulls(spec.affinity or {})
    gpu = spec.resources.gpu
    if gpu_name is None or gpu is None or gpu.memory is None:
        return affinity
    least = int(float(amount(gpu.memory)) * SHOWN_OF_MEMORY) // _MI
    rule = {"key": GPU_MEMORY, "operator": "Gt", "values": [str(least)]}
    node: Json = dict(affinity.get("nodeAffinity") or {})
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms") or [{}]  # one of the terms must hold: each gets it
    node["requiredDuringSchedulingIgnoredDuringExecution"] = {
        **required,
        "nodeSelectorTerms": [_with_rule(term, rule) for term in terms],
    }
    return {**affinity, "nodeAffinity": node}


def _with_rule(term: dict[str, Any], rule: Json) -> Json:
    return {**term, "matchExpressions": [*(term.get("matchExpressions") or []), rule]}


def _spread(service: DFastLLMService, one: TopologySpread) -> Json:
    """Only pods of one rollout are counted, so that the old ones do not push the new aside."""
    dumped = one.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        **dumped,
        "labelSelector": pod_selector(service),
        "matchLabelKeys": ["pod-template-hash"],
    }
