"""What of a model decides its memory: number of parameters, layers, heads, vocabulary."""

import math
from dataclasses import dataclass

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number, by number format."""

WIDEST_VOCABULARY = 157_184
"""The largest of the published diffusion language models (LLaDA2.0); assumed when none is said."""

ASSUMED_POSITIONS = 4096
"""Longest prompt plus answer when neither the spec nor the model's configuration says one."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """`dtype` is the number format of the checkpoint; `max_position` is 0 when it is not known.

    `context` is the network that reads the context, where the model leaves that to another: both
    are always loaded, and write to one K/V memory.
    """

    parameters: int
    layers: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    dtype: str = "bfloat16"
    max_position: int = 0
    context: "ModelShape | None" = None

    def kv_bytes_per_token(self, dtype: str) -> int:
        """Keys and values of one position over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * BYTES[dtype]

    @property
    def hidden_size(self) -> int:
        """Width of the model, from 12 h^2 parameters a layer: close enough for activations."""
        return max(1, round(math.sqrt(self.parameters / (12 * self.layers))))


def estimated(
    parameters: int,
    *,
    layers: int | None,
    kv_heads: int | None,
    head_dim: int | None,
    vocab_size: int | None,
    dtype: str,
) -> ModelShape:
    """A shape with the gaps filled on the large side: every head its own keys and values.

    Published models have about as many layers as heads of 128, and 12 h^2 parameters a layer, so
    the width h is the cube root of parameters * 128 / 12.
    """
    width = max(128.0, (parameters * 128 / 12) ** (1 / 3))
    head_dim = head_dim or 128
    return ModelShape(
        parameters=parameters,
        layers=layers or max(1, round(width / 128)),
        kv_heads=kv_heads or max(1, round(width / head_dim)),
        head_dim=head_dim,
        vocab_size=vocab_size or WIDEST_VOCABULARY,
        dtype=dtype,
    )
