"""The transformer as functions of its weights: clean text read causally, blocks filled in."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every torch program uses

from training.smol.base import GROUPS, Base, Shape
from training.smol.vocabulary import MASK

SHAPE = Shape()


class Layer(NamedTuple):
    """The nine tensors of one layer."""

    norm: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    o: Tensor
    ff_norm: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """A whole model in the compute type; the mask's input row is separate from the embedding."""

    layers: list[Layer]
    last_norm: Tensor
    embedding: Tensor  # [V, W], for input and output
    mask_row: Tensor  # [W]


KeysValues = tuple[Tensor, Tensor]
BlockRule = Callable[
    [Tensor, Layer, Tensor, Tensor, Tensor | None, KeysValues | None], tuple[Tensor, KeysValues]
]


def arrange(
    matrices: dict[str, Tensor], norms: Tensor, last_norm: Tensor, embedding: Tensor, mask: Tensor
) -> Weights:
    """Cut the stacks into layers; everything keeps its type but the norms stay float32."""
    cut = {group: stack.unbind() for group, stack in matrices.items()}
    layers = []
    for at in range(norms.shape[0]):
        named = {
            name: cut[group][at * len(names) + spot]
            for group, names in GROUPS.items()
            for spot, name in enumerate(names)
        }
        layers.append(
            Layer(
                norms[at, 0],
                named["self_attn.q_proj"],
                named["self_attn.k_proj"],
                named["self_attn.v_proj"],
                named["self_attn.o_proj"],
                norms[at, 1],
                named["mlp.gate_proj"],
                named["mlp.up_proj"],
                named["mlp.down_proj"],
            )
        )
    return Weights(layers, last_norm, embedding, mask)


def weights_of(base: Base, compute: torch.dtype) -> Weights:
    """Return the base itself as a model."""
    matrices = {name: stack.to(compute) for name, stack in base.matrices.items()}
    embedding = base.embedding.to(compute)
    return arrange(matrices, base.norms, base.last_norm, embedding, embedding[MASK])


def norm(x: Tensor, weight: Tensor) -> Tensor:
    """RMS norm; the mean square is taken in float32."""
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + SHAPE.epsilon)
    return (wide * scale * weight).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate by position: the second half of a head pairs with its first half."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def angles(length: int, head: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines [length, head] in float32."""
    half = head // 2
    inverse = SHAPE.theta ** (-torch.arange(half, device=device) / half)
    table = torch.arange(length, device=device)[:, None] * inverse
    table = torch.cat((table, table), dim=-1)
    return table.cos(), table.sin()


def block(
    x: Tensor,
    layer: Layer,
    cos: Tensor,
    sin: Tensor,
    allowed: Tensor | None,
    context: KeysValues | None,
) -> tuple[Tensor, KeysValues]:
    """Attention, then SwiGLU; also the keys and values [B, heads, L, head] of this layer.

    `allowed` [B, 1, L, C + L] is added to the scores of the context's C places and the row's own;
    None: what is left of each, and no context.
    """
    rows, length, _ = x.shape
    h = norm(x, layer.norm)
    q = F.linear(h, layer.q).view(rows, length, SHAPE.heads, -1).transpose(1, 2)
    k = F.linear(h, layer.k).view(rows, length, SHAPE.kv_heads, -1).transpose(1, 2)
    v = F.linear(h, layer.v).view(rows, length, SHAPE.kv_heads, -1).transpose(1, 2)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    seen = (k, v)
    if context is not None:
        seen = (torch.cat((context[0], k), dim=2), torch.cat((context[1], v), dim=2))
    share = SHAPE.heads // SHAPE.kv_heads
    keys, values = (part.repeat_interleave(share, dim=1) for part in seen)
    mixed = F.scaled_dot_product_attention(
        q, keys, values, attn_mask=allowed, is_causal=allowed is None
    )
    x = x + F.linear(mixed.transpose(1, 2).reshape(rows, length, -1), layer.o)
    h = norm(x, layer.ff_norm)
    x = x + F.linear(F.silu(F.linear(h, layer.gate)) * F.linear(h, layer.up), layer.down)
    return x, (k, v)


def read(
    weights: Weights, tokens: Tensor, rule: BlockRule = block
) -> tuple[Tensor, list[KeysValues]]:
    """Return the states [B, L, W] of clean text, read causally, and each layer's keys and values.

    The state at p - 1, given to the head, speaks about position p.
    """
    x = F.embedding(tokens, weights.embedding)
    cos, sin = _angles(weights, tokens.shape[1], x)
    kept = []
    for layer in weights.layers:
        x, seen = rule(x, layer, cos, sin, None, None)
        kept.append(seen)
    return norm(x, weights.last_norm), kept


def fill(
    weights: Weights,
    tokens: Tensor,
    positions: Tensor,
    allowed: Tensor,
    context: list[KeysValues],
    rule: BlockRule = block,
) -> Tensor:
    """Return the states [B, N, W] of blocks with masks, at `positions` [B, N], given a context."""
    x = F.embedding(tokens, weights.embedding)
    x = torch.where((tokens == MASK)[..., None], weights.mask_row.to(x.dtype), x)
    cos, sin = _angles(weights, context[0][0].shape[2] + tokens.shape[1], x)
    cos, sin = cos[positions][:, None], sin[positions][:, None]  # [B, 1, N, head]
    for layer, seen in zip(weights.layers, context, strict=True):
        x, _ = rule(x, layer, cos, sin, allowed, seen)
    return norm(x, weights.last_norm)


def _angles(weights: Weights, length: int, x: Tensor) -> tuple[Tensor, Tensor]:
    head = weights.layers[0].q.shape[0] // SHAPE.heads
    cos, sin = angles(length, head, x.device)
    return cos.to(x.dtype), sin.to(x.dtype)


def logits_of(weights: Weights, states: Tensor) -> Tensor:
    """Apply the tied head; float32, the mask itself is never an answer."""
    logits = F.linear(states, weights.embedding).float()
    logits[..., MASK] = -torch.inf
    return logits


@cache
def compiled() -> BlockRule:
    """Return `block` compiled once for all layers, per row length."""
    torch._dynamo.config.recompile_limit = 32
    rule: BlockRule = torch.compile(block, dynamic=False)
    return rule
