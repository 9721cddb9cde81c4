"""A model that reads its context causally, and what it computes, written from the definition.

A context position sees itself and what is left of it; a position of the active block sees all of
the context and the whole block; nothing right of the block is visible to anyone.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from support.reference import VECTORS


def causal_context_checkpoint(directory: Path, family: str = "dream") -> Path:
    """The random tiny model of `family`, its context read causally, its attention made sharper.

    As it is in the vectors, what a position sees hardly matters to what it says.
    """
    source = VECTORS / f"{family}-tiny"
    config = json.loads((source / "config.json").read_text())
    config["context_attention"] = "causal"
    (directory / "config.json").write_text(json.dumps(config))
    tensors = load_file(source / "model.safetensors")
    for name in tensors:
        if ".q_proj." in name or ".v_proj." in name:
            tensors[name] *= 4
    save_file(tensors, directory / "model.safetensors")
    return directory


class DenseDream:
    """Dream's layout with one dense mask over the whole row, straight from a checkpoint's files."""

    def __init__(self, directory: Path):
        self.config = json.loads((directory / "config.json").read_text())
        self.tensors = load_file(directory / "model.safetensors")

    def logits(self, tokens: list[int], block: tuple[int, int]) -> Tensor:
        """Output rows of positions [0, block end), [block end, V]; `tokens` may go on behind it."""
        start, end = block
        at = torch.arange(end)
        sees = (at[None, :] <= at[:, None]) | (at[:, None] >= start)  # [reader, read]
        x = self.tensors["model.embed_tokens.weight"][torch.tensor(tokens[:end])]
        for i in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{i}."
            x = x + self._attention(prefix, self._norm(f"{prefix}input_layernorm", x), sees)
            h = self._norm(f"{prefix}post_attention_layernorm", x)
            gate = torch.nn.functional.silu(self._linear(f"{prefix}mlp.gate_proj", h))
            up = self._linear(f"{prefix}mlp.up_proj", h)
            x = x + self._linear(f"{prefix}mlp.down_proj", gate * up)
        return self._norm("model.norm", x) @ self.tensors["lm_head.weight"].T

    def _attention(self, prefix: str, h: Tensor, sees: Tensor) -> Tensor:
        n_heads, n_kv = (self.config[f"num_{k}"] for k in ("attention_heads", "key_value_heads"))
        size, length = self.config["hidden_size"] // n_heads, len(h)
        q, k, v = (self._linear(f"{prefix}self_attn.{name}_proj", h) for name in "qkv")
        q = self._rotated(q.view(length, n_heads, size))
        k = self._rotated(k.view(length, n_kv, size)).repeat_interleave(n_heads // n_kv, 1)
        v = v.view(length, n_kv, size).repeat_interleave(n_heads // n_kv, 1)
        scores = torch.einsum("ihd,jhd->hij", q, k) / size**0.5
        weights = scores.masked_fill(~sees, float("-inf")).softmax(-1)
        mixed = torch.einsum("hij,jhd->ihd", weights, v).reshape(length, -1)
        return self._linear(f"{prefix}self_attn.o_proj", mixed)

    def _rotated(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        base = torch.tensor(self.config["rope_theta"])
        angle = torch.arange(len(x))[:, None] / base ** (torch.arange(half) / half)  # [L, half]
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        left, right = x[..., :half], x[..., half:]
        return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        square = x.pow(2).mean(-1, keepdim=True)
        scale = torch.rsqrt(square + self.config["rms_norm_eps"])
        return x * scale * self.tensors[f"{name}.weight"]

    def _linear(self, name: str, x: Tensor) -> Tensor:
        bias = self.tensors.get(f"{name}.bias", torch.zeros(()))
        return x @ self.tensors[f"{name}.weight"].T + bias
