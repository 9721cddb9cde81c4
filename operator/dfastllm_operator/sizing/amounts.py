"""Requests and limits of the server's container: what the spec says, and the rest from the size."""

from dfastllm_operator.api import Spec
from dfastllm_operator.api.quantity import amount
from dfastllm_operator.sizing.quantity import canonical, memory, value
from dfastllm_operator.sizing.size import Sizing

Amounts = dict[str, str]

GPU_CPU = "2"  # the engine's thread and the HTTP side; the GPU computes
PLAIN_CPU = "4"  # all the computing
BUILTIN_CPU = {"builtin://tiny": ("500m", "2"), "builtin://smol": ("2", "4")}
"""Request and limit."""


def resources_of(spec: Spec, sizing: Sizing) -> tuple[Amounts, Amounts]:
    """(requests, limits), in the API server's spelling; what the spec says goes first.

    A limit that would be below its request, or the other way round, follows the one that was said.
    """
    requests, limits = _computed(spec, sizing)
    said_requests = {name: canonical(said) for name, said in spec.resources.requests.items()}
    said_limits = {name: canonical(said) for name, said in spec.resources.limits.items()}
    for name in {**said_requests, **said_limits}:
        if name in said_limits or (name in limits and _less(limits[name], said_requests[name])):
            limits[name] = said_limits.get(name, said_requests.get(name, ""))
        if name in said_requests:
            requests[name] = said_requests[name]
        elif name in requests and _less(limits[name], requests[name]):
            requests[name] = limits[name]
    for name in {*requests, *limits}:
        if "/" in name:  # extended resources cannot be promised without being given
            both = said_limits.get(name) or said_requests.get(name) or limits[name]
            requests[name] = limits[name] = both
    return _sorted(requests), _sorted(limits)


def gpu_resource(spec: Spec) -> str:
    """Name of the extended resource that counts GPUs."""
    gpu = spec.resources.gpu
    return gpu.resource_name if gpu is not None else "nvidia.com/gpu"


def _computed(spec: Spec, sizing: Sizing) -> tuple[Amounts, Amounts]:
    requests, limits = {}, {}
    if sizing.pod_memory:
        shm = int(amount(spec.shm_size)) if spec.shm_size is not None else 0
        requests["memory"] = limits["memory"] = memory(sizing.pod_memory + shm)
    if spec.model.built_in:
        # KServe writes limits of its own into a predictor without a runtime that names none.
        requests["cpu"], limits["cpu"] = BUILTIN_CPU[spec.model.uri]
    elif sizing.gpu:
        requests["cpu"] = GPU_CPU
    else:
        requests["cpu"] = str(spec.engine.num_threads or PLAIN_CPU)
    if sizing.gpu:
        gpu = spec.resources.gpu
        count = gpu.count if gpu is not None and gpu.count is not None else 1
        requests[gpu_resource(spec)] = limits[gpu_resource(spec)] = str(count)
    return requests, limits


def _less(one: str, other: str) -> bool:
    return value(one) < value(other)


def _sorted(amounts: Amounts) -> Amounts:
    return dict(sorted(amounts.items()))
