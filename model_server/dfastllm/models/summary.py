"""A checkpoint at a glance, from its configuration and the headers of its weight files alone."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from dfastllm.models.checkpoint import directory_spec
from dfastllm.models.config_fields import read_json
from dfastllm.models.context import context_spec
from dfastllm.models.generation_defaults import GenerationDefaults, read_generation_defaults
from dfastllm.models.loader import _check, _read_headers, _weight_files
from dfastllm.models.spec import ModelSpec, NetworkSpec
from dfastllm.models.weights import weight_map


@dataclass(frozen=True, slots=True)
class NetworkSummary:
    """One network; `parameters` counts a tied head once, `stored_bytes` is by dtype."""

    spec: NetworkSpec
    parameters: int
    stored_bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What serving a checkpoint would mean.

    `parameters` and `stored_bytes` are of all that is loaded: `context`, which reads the context of
    a model that leaves this to another network, is among them. `kv_bytes_per_token` is by dtype the
    model may run in; both write to one memory.
    """

    spec: ModelSpec
    parameters: int
    stored_bytes: dict[str, int]
    kv_bytes_per_token: dict[str, int]
    defaults: GenerationDefaults
    context: NetworkSummary | None = None


def summarise(directory: Path) -> ModelSummary:
    """Raises CheckpointError for whatever would keep the checkpoint from being loaded."""
    spec = directory_spec(directory)
    found = context_spec(directory, spec)
    context = None if found is None else _network(*found)
    networks = [_network(directory, spec), *([] if context is None else [context])]
    sizes: Counter[str] = Counter()
    for network in networks:
        sizes.update(network.stored_bytes)
    generation = directory / "generation_config.json"
    return ModelSummary(
        spec=spec,
        parameters=sum(network.parameters for network in networks),
        stored_bytes=dict(sizes),
        kv_bytes_per_token={
            str(dtype).removeprefix("torch."): kv_bytes_per_token(spec, dtype)
            for dtype in (torch.float32, torch.bfloat16)
        },
        defaults=read_generation_defaults(read_json(generation) if generation.exists() else {}),
        context=context,
    )


def _network(directory: Path, spec: NetworkSpec) -> NetworkSummary:
    """Raises CheckpointError unless the tensors a network must have are those it has."""
    names = weight_map(spec)
    stored = _read_headers(_weight_files(directory))
    _check(names, stored)
    sizes: Counter[str] = Counter()
    for tensor in stored.values():
        sizes[tensor.dtype] += tensor.n_bytes
    parameters = sum(prod(shape) for shape in names.parameters.values())
    return NetworkSummary(spec, parameters, dict(sizes))


def kv_bytes_per_token(spec: NetworkSpec, dtype: torch.dtype) -> int:
    """Keys and values of one position over all layers."""
    return 2 * spec.n_layers * spec.n_kv_heads * spec.head_dim * dtype.itemsize
