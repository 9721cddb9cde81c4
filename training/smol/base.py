"""The base model's weights, stacked by shape so that one operation serves all layers."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dfastllm.builtin import base as builtin_base

BASE_VARIABLE = "SMOL_BASE"

GROUPS: dict[str, tuple[str, ...]] = {
    "square": ("self_attn.q_proj", "self_attn.o_proj"),
    "narrow": ("self_attn.k_proj", "self_attn.v_proj"),
    "rise": ("mlp.gate_proj", "mlp.up_proj"),
    "fall": ("mlp.down_proj",),
}
NORMS = ("input_layernorm", "post_attention_layernorm")


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that the tensors do not say."""

    heads: int = 9
    kv_heads: int = 3
    theta: float = 100_000.0
    epsilon: float = 1e-5


@dataclass(frozen=True, slots=True)
class Base:
    """Float32 tensors: matrices [layers x names, out, in] by group, norms, the tied embedding."""

    embedding: Tensor  # [V, W]
    matrices: dict[str, Tensor]
    norms: Tensor  # [layers, 2, W]
    last_norm: Tensor  # [W]

    @property
    def layers(self) -> int:
        return self.norms.shape[0]

    def to(self, device: torch.device | str) -> "Base":
        """Return the same tensors on a device."""
        return Base(
            self.embedding.to(device),
            {name: stack.to(device) for name, stack in self.matrices.items()},
            self.norms.to(device),
            self.last_norm.to(device),
        )


def matrix_names(group: str, layers: int) -> list[str]:
    """Name the matrices of a group in the order of its stack."""
    return [f"model.layers.{at}.{name}.weight" for at in range(layers) for name in GROUPS[group]]


def stack(tensors: dict[str, Tensor]) -> Base:
    """Arrange tensors named as in published Llama checkpoints."""
    layers = sum(name.endswith("mlp.up_proj.weight") for name in tensors)
    return Base(
        embedding=tensors["model.embed_tokens.weight"].float(),
        matrices={
            group: torch.stack([tensors[name].float() for name in matrix_names(group, layers)])
            for group in GROUPS
        },
        norms=torch.stack(
            [
                torch.stack([tensors[f"model.layers.{at}.{norm}.weight"].float() for norm in NORMS])
                for at in range(layers)
            ]
        ),
        last_norm=tensors["model.norm.weight"].float(),
    )  # fmt: skip


def locate(path: Path | None = None) -> Path:
    """Return the base's file: the one given, the one the environment names, or the package's."""
    named = path or os.environ.get(BASE_VARIABLE)
    return Path(named) if named else builtin_base.find_base()


def read(path: Path) -> Base:
    return stack(builtin_base.read_base(path))
