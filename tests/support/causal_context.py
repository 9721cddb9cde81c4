"""A model that reads its context causally, and what it computes, written from the definition.

A context position sees itself and what is left of it; a position of the active block sees all of
the context and the whole block; nothing right of the block is visible to anyone. The context may be
another network's; then the block begins with what leads into it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dfastllm.models.causal import read_causal_spec
from dfastllm.models.checkpoint import directory_spec
from dfastllm.models.weights import weight_map
from support.reference import VECTORS

KV = tuple[Tensor, Tensor]
CONTEXT = "context"


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


def two_network_checkpoint(directory: Path, family: str = "dream") -> Path:
    """The same with a random network in Llama's layout that reads the context."""
    config = json.loads((causal_context_checkpoint(directory, family) / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"context_model": CONTEXT}))
    spec = directory_spec(directory)
    theirs = {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": spec.vocab_size,
        "hidden_size": spec.hidden_size,
        "num_hidden_layers": spec.n_layers,
        "num_attention_heads": spec.n_heads,
        "num_key_value_heads": spec.n_kv_heads,
        "intermediate_size": 48,
        "rms_norm_eps": spec.norm_eps,
        "rope_theta": spec.rope_theta,
        "max_position_embeddings": spec.max_position,
        "tie_word_embeddings": False,
    }
    folder = directory / CONTEXT
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(theirs))
    generator = torch.Generator().manual_seed(7)
    tensors = {
        name: torch.randn(place.shape, generator=generator) * 0.2 + ("norm" in name)
        for name, place in weight_map(read_causal_spec(theirs)).placements.items()
    }
    save_file(tensors, folder / "model.safetensors")
    return directory


class DenseDream:
    """Dream's layout, or Llama's, with dense masks, straight from a checkpoint's files."""

    def __init__(self, directory: Path):
        self.config = json.loads((directory / "config.json").read_text())
        self.tensors = load_file(directory / "model.safetensors")

    def logits(self, tokens: list[int], block: tuple[int, int]) -> Tensor:
        """Output rows of positions [0, block end), [block end, V]; `tokens` may go on behind it."""
        start, end = block
        at = torch.arange(end)
        sees = (at[None, :] <= at[:, None]) | (at[:, None] >= start)  # [reader, read]
        return self.read(tokens[:end], sees)[0]

    def read(
        self, tokens: list[int], sees: Tensor, before: Sequence[KV] = ()
    ) -> tuple[Tensor, list[KV]]:
        """Output rows and the layers' K/V of `tokens`, which follow those whose K/V are `before`.

        `sees` bool [reader, read] is over both. Keys and values are [L, n_kv_heads, head_dim].
        """
        x = self.tensors["model.embed_tokens.weight"][torch.tensor(tokens, dtype=torch.int64)]
        found = []
        for i in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{i}."
            h = self._norm(f"{prefix}input_layernorm", x)
            mixed, kv = self._attention(prefix, h, sees, before[i] if before else None)
            found.append(kv)
            x = x + mixed
            h = self._norm(f"{prefix}post_attention_layernorm", x)
            gate = torch.nn.functional.silu(self._linear(f"{prefix}mlp.gate_proj", h))
            up = self._linear(f"{prefix}mlp.up_proj", h)
            x = x + self._linear(f"{prefix}mlp.down_proj", gate * up)
        return self._norm("model.norm", x) @ self.tensors["lm_head.weight"].T, found

    def _attention(
        self, prefix: str, h: Tensor, sees: Tensor, before: KV | None
    ) -> tuple[Tensor, KV]:
        n_heads, n_kv = (self.config[f"num_{k}"] for k in ("attention_heads", "key_value_heads"))
        size, length = self.config["hidden_size"] // n_heads, len(h)
        first = 0 if before is None else len(before[0])
        q, k, v = (self._linear(f"{prefix}self_attn.{name}_proj", h) for name in "qkv")
        q = self._rotated(q.view(length, n_heads, size), first)
        kv = self._rotated(k.view(length, n_kv, size), first), v.view(length, n_kv, size)
        read = kv if before is None else tuple(map(torch.cat, zip(before, kv, strict=True)))
        k, v = (t.repeat_interleave(n_heads // n_kv, 1) for t in read)
        scores = torch.einsum("ihd,jhd->hij", q, k) / size**0.5
        weights = scores.masked_fill(~sees, float("-inf")).softmax(-1)
        mixed = torch.einsum("hij,jhd->ihd", weights, v).flatten(1)
        return self._linear(f"{prefix}self_attn.o_proj", mixed), kv

    def _rotated(self, x: Tensor, first: int) -> Tensor:
        half = x.shape[-1] // 2
        base = torch.tensor(self.config["rope_theta"])
        at = first + torch.arange(len(x))
        angle = at[:, None] / base ** (torch.arange(half) / half)  # [L, half]
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


class DensePair:
    """The model of a folder and the network that reads its context; nothing is ever kept."""

    def __init__(self, directory: Path, lead: int = 1):
        self.model, self.context = DenseDream(directory), DenseDream(directory / CONTEXT)
        self.lead = lead

    def logits(self, tokens: list[int], block: tuple[int, int]) -> Tensor:
        """What the model says of the positions of the block, [block length, V]."""
        start, end = block
        cut = max(start - self.lead, 0)
        _, before = self.context.read(tokens[:cut], torch.ones(cut, cut, dtype=torch.bool).tril())
        everything = torch.ones(end - cut, end, dtype=torch.bool)
        rows, _ = self.model.read(tokens[cut:end], everything, before)
        return rows[start - cut - self.lead : end - cut - self.lead]
