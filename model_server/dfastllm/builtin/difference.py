"""What a built-in model changes in its base: low-rank matrices in int8, norms, embedding rows.

A changed matrix NAME [out, in] is stored as `NAME.down` int8 [rank, in], `NAME.up` int8
[out, rank] and `NAME.scale` float32 [rank]. A norm stands under its own name and replaces the
base's. Changed rows of the embedding are `EMBEDDING.rows` and `EMBEDDING.values`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

EMBEDDING = "model.embed_tokens"
_STEPS = 127


def quantise(factor: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Round to int8 with one scale per slice along `dim`; returns integers (float) and scales."""
    scale = factor.detach().abs().amax(dim, keepdim=True).clamp_min(1e-12) / _STEPS
    return (factor / scale).round(), scale


def pack(up: Tensor, down: Tensor, name: str) -> dict[str, Tensor]:
    """Store `up @ down` as the difference of the matrix `name` (with or without `.weight`)."""
    whole_up, up_scale = quantise(up.detach().float(), 0)  # [out, r], [1, r]
    whole_down, down_scale = quantise(down.detach().float(), 1)  # [r, in], [r, 1]
    return {
        f"{name}.up": whole_up.to(torch.int8).contiguous(),
        f"{name}.down": whole_down.to(torch.int8).contiguous(),
        f"{name}.scale": (up_scale[0] * down_scale[:, 0]).contiguous(),
    }


def pack_rows(rows: Tensor, values: Tensor) -> dict[str, Tensor]:
    """Store embedding rows [n] with their new values [n, hidden]."""
    return {
        f"{EMBEDDING}.rows": rows.detach().to(torch.int64).contiguous(),
        f"{EMBEDDING}.values": values.detach().to(torch.float16).contiguous(),
    }


def apply(base: Mapping[str, Tensor], difference: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the base's tensors with the difference applied, float32; the base stays as it is."""
    tensors = dict(base)
    for key, value in difference.items():
        name, _, part = key.rpartition(".")
        if part == "up":
            change = (value.float() * difference[f"{name}.scale"]) @ difference[
                f"{name}.down"
            ].float()
            tensors[name] = base[name].float() + change
        elif part == "rows":
            table = base[f"{name}.weight"].float().clone()
            table[value] = difference[f"{name}.values"].float()
            tensors[f"{name}.weight"] = table
        elif part not in ("down", "scale", "values"):
            if key not in base:
                raise KeyError(f"the difference replaces {key}, which the base does not have")
            tensors[key] = value.float()
    return tensors
