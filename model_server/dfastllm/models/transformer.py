"""The transformer of all families: pre-norm, RMSNorm, rotary positions, SwiGLU.

LLaDA, Dream, Llama and Qwen2 differ in data only: q/k/v biases, grouped K/V heads, a tied head, the
rotary base (see `spec.py`). The batch says what is read causally; the shift of Dream and of causal
models is the engine's concern. The module knows neither requests nor decoding: packed tokens in,
logits of the rows asked for out.
"""

from typing import Generic, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn
from typing_extensions import TypeVar  # with a default, which Python has from 3.13

from dfastllm.cache.pool import KVPool
from dfastllm.models.batch import AttentionGroup, ForwardBatch
from dfastllm.models.spec import ModelSpec, NetworkSpec

SpecT = TypeVar("SpecT", bound=NetworkSpec, default=ModelSpec, covariant=True)


class RMSNorm(nn.Module):
    """Root-mean-square norm with statistics in fp32."""

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size), requires_grad=False)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype) * self.weight


class Layer(nn.Module):
    """One block: attention and gated MLP, weights fused as `weights.py` lays them out."""

    def __init__(self, spec: NetworkSpec):
        super().__init__()
        self.n_heads, self.n_kv_heads = spec.n_heads, spec.n_kv_heads
        self.head_dim = spec.head_dim
        q_size, kv_size = spec.n_heads * spec.head_dim, spec.n_kv_heads * spec.head_dim
        self.split = (q_size, kv_size, kv_size)
        self.attn_norm = RMSNorm(spec.hidden_size, spec.norm_eps)
        self.qkv = _linear(spec.hidden_size, q_size + 2 * kv_size, bias=spec.qkv_bias)
        self.attn_out = _linear(q_size, spec.hidden_size)
        self.mlp_norm = RMSNorm(spec.hidden_size, spec.norm_eps)
        self.gate_up = _linear(spec.hidden_size, 2 * spec.intermediate_size)
        self.down = _linear(spec.intermediate_size, spec.hidden_size)

    def forward(
        self,
        x: Tensor,  # [T, D]
        rotary: tuple[Tensor, Tensor],
        batch: ForwardBatch,
        kv: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        q, k, v = self.qkv(self.attn_norm(x)).split(self.split, dim=-1)
        q = rotate(q.unflatten(-1, (self.n_heads, self.head_dim)), *rotary)  # [T, H, d]
        k = rotate(k.unflatten(-1, (self.n_kv_heads, self.head_dim)), *rotary)  # [T, Hkv, d]
        v = v.unflatten(-1, (self.n_kv_heads, self.head_dim))
        if kv is not None and batch.store_rows is not None and batch.store_slots is not None:
            kv[0].index_copy_(0, batch.store_slots, k.index_select(0, batch.store_rows))
            kv[1].index_copy_(0, batch.store_slots, v.index_select(0, batch.store_rows))
        parts = [attend(q, k, v, group, kv) for group in batch.groups]
        x = x + self.attn_out(parts[0] if len(parts) == 1 else torch.cat(parts))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + cast(Tensor, self.down(F.silu(gate).mul_(up)))


class Transformer(nn.Module, Generic[SpecT]):
    """A whole model, of a diffusion model unless said otherwise.

    Parameters are uninitialised until `loader.load_weights` fills them.
    """

    def __init__(self, spec: SpecT):
        super().__init__()
        self.spec = spec
        rows = torch.empty(spec.embedding_rows, spec.hidden_size)  # random ones take seconds
        self.embed = nn.Embedding(len(rows), spec.hidden_size, _weight=rows)
        self.layers = nn.ModuleList(Layer(spec) for _ in range(spec.n_layers))
        self.norm = RMSNorm(spec.hidden_size, spec.norm_eps)
        self.head: nn.Module | None = None  # tied to the embedding
        if not spec.tied_head:
            self.head = _linear(spec.hidden_size, spec.embedding_rows)

    @torch.inference_mode()
    def forward(self, batch: ForwardBatch, pool: KVPool | None = None) -> Tensor:
        """Logits fp32 [K, vocab_size] of `batch.logit_rows`.

        `pool` may be None when no segment stores or reuses K/V.
        """
        x = self.embed(batch.token_ids)  # [T, D]
        rotary = self._rotary(batch.positions, x.dtype)
        uses_pool = batch.store_rows is not None or any(
            g.kv_slots is not None for g in batch.groups
        )
        for i, layer in enumerate(self.layers):
            kv = pool.layer(i) if pool is not None and uses_pool else None
            x = layer(x, rotary, batch, kv)
        if not len(batch.logit_rows):  # fed for its K/V alone
            return torch.empty(0, self.spec.vocab_size, device=x.device)
        x = self.norm(x.index_select(0, batch.logit_rows))  # [K, D]
        logits = F.linear(x, self.embed.weight) if self.head is None else self.head(x)
        return logits[:, : self.spec.vocab_size].float()

    def _rotary(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosine and sine of each position, [T, 1, head_dim], computed in fp32."""
        half = torch.arange(0, self.spec.head_dim, 2, device=positions.device, dtype=torch.float32)
        inverse = 1.0 / (self.spec.rope_theta ** (half / self.spec.head_dim))
        angles = positions.float()[:, None] * inverse[None, :]
        angles = torch.cat((angles, angles), dim=-1)[:, None, :]
        return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding in the rotate-half convention; x [T, heads, head_dim]."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


def attend(
    q: Tensor, k: Tensor, v: Tensor, group: AttentionGroup, kv: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Attention of one group, [rows of the group, n_heads * head_dim].

    q [T, H, d]; k and v [T, Hkv, d] fresh; stored K/V are read where the group names slots.
    """
    rows = slice(group.start, group.end)
    n = group.n_rows
    asking = q[rows] if group.filled is None else q.index_select(0, group.filled)
    if group.kv_slots is None:
        keys, values = k[rows], v[rows]
    else:
        assert kv is not None, "a group that reads stored K/V needs the pool"
        keys = kv[0].index_select(0, group.kv_slots)
        values = kv[1].index_select(0, group.kv_slots)
    # [n * len, heads, d] -> [n, heads, len, d]
    # torch's bf16 attention on a CPU takes half as long again as the same in fp32.
    dtype = torch.float32 if q.device.type == "cpu" else q.dtype
    query, keys, values = (
        t.view(n, -1, *t.shape[1:]).transpose(1, 2).to(dtype) for t in (asking, keys, values)
    )
    out = F.scaled_dot_product_attention(
        query, keys, values, attn_mask=group.mask, enable_gqa=query.shape[1] != keys.shape[1]
    )
    out = out.transpose(1, 2).reshape(len(asking), -1).to(q.dtype)
    return out if group.own is None else out.index_select(0, group.own)


def _linear(n_in: int, n_out: int, *, bias: bool = False) -> nn.Linear:
    return nn.Linear(n_in, n_out, bias=bias)
