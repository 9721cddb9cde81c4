"""A model directory to a model ready to run: specification, weights, module."""

from pathlib import Path

import torch

from dfastllm.models.config_fields import read_json
from dfastllm.models.loader import Progress, load_weights, stored_dtype
from dfastllm.models.packed import pack_linears
from dfastllm.models.spec import ModelSpec, read_spec
from dfastllm.models.transformer import Transformer

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def directory_spec(directory: Path) -> ModelSpec:
    """The specification of a checkpoint directory; raises CheckpointError."""
    generation = directory / "generation_config.json"
    return read_spec(
        read_json(directory / "config.json"), read_json(generation) if generation.exists() else {}
    )


def load_model(
    directory: Path,
    *,
    dtype: str = "auto",
    device: torch.device,
    progress: Progress | None = None,
) -> Transformer:
    """The model of `directory` on `device`; raises CheckpointError.

    `dtype` auto is the stored one on CUDA and float32 on a CPU, where half precision is slow
    or emulated.
    """
    spec = directory_spec(directory)
    if dtype == "auto":
        chosen = stored_dtype(directory) if device.type == "cuda" else torch.float32
    else:
        chosen = _DTYPES[dtype]
    with torch.device("meta"):
        model = Transformer(spec)
    weights = load_weights(directory, spec, chosen, device, progress)
    model.load_state_dict(weights, strict=True, assign=True)
    del weights  # else packing would hold every weight twice
    pack_linears(model)
    return model.requires_grad_(False).eval()
