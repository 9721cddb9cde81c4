"""A checkpoint at a glance, from its configuration and the headers of its weight files alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from dfastllm.models.checkpoint import directory_spec
from dfastllm.models.config_fields import read_json
from dfastllm.models.context import context_spec
from dfastllm.models.generation_defaults import GenerationDefaults, read_generation_defaults
from dfastllm.models.loader import _check, _read_headers, _Stored, _weight_files
from dfastllm.models.spec import ModelSpec, NetworkSpec
from dfastllm.models.weights import WeightMap, weight_map


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What serving a checkpoint would mean.

    `parameters` counts a tied head once; `stored_bytes` is by dtype, as the files say.
    `kv_bytes_per_token` is by dtype the model may run in.
    """

    spec: ModelSpec
    parameters: int
    stored_bytes: dict[str, int]
    kv_bytes_per_token: dict[str, int]
    defaults: GenerationDefaults


def summarise(directory: Path) -> ModelSummary:
    """Raises CheckpointError for whatever would keep the checkpoint from being loaded."""
    spec = directory_spec(directory)
    names, stored = _checked(directory, spec)
    context = context_spec(directory, spec)
    if context is not None:
        _checked(*context)
    sizes: dict[str, int] = {}
    for tensor in stored.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.n_bytes
    generation = directory / "generation_config.json"
    return ModelSummary(
        spec=spec,
        parameters=sum(prod(shape) for shape in names.parameters.values()),
        stored_bytes=sizes,
        kv_bytes_per_token={
            str(dtype).removeprefix("torch."): kv_bytes_per_token(spec, dtype)
            for dtype in (torch.float32, torch.bfloat16)
        },
        defaults=read_generation_defaults(read_json(generation) if generation.exists() else {}),
    )


def _checked(directory: Path, spec: NetworkSpec) -> tuple[WeightMap, Mapping[str, _Stored]]:
    """The tensors a network must have, and those it has, which are the same."""
    names = weight_map(spec)
    stored = _read_headers(_weight_files(directory))
    _check(names, stored)
    return names, stored


def kv_bytes_per_token(spec: NetworkSpec, dtype: torch.dtype) -> int:
    """Keys and values of one position over all layers."""
    return 2 * spec.n_layers * spec.n_kv_heads * spec.head_dim * dtype.itemsize
