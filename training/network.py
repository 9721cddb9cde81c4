"""The LLaDA network: a pre-norm transformer, parameters named as its checkpoints.

It is bidirectional, and causal with a tied head as the verifier.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every torch program uses

from training.vocabulary import BOS, EOS, EOT, MASK, MAX_LENGTH, SIZE


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that make the network 7.1 million parameters."""

    width: int = 256
    layers: int = 8
    heads: int = 4
    hidden: int = 768
    vocabulary: int = SIZE
    theta: float = 10_000.0
    epsilon: float = 1e-5
    causal: bool = False  # whether a position sees what is left of it only
    tied: bool = False  # whether the embedding is the head too


class Norm(nn.Module):
    """RMS norm; the mean square is taken in float32."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return (wide * scale * self.weight).to(x.dtype)


class Matrix(nn.Module):
    """A linear map without bias whose float32 weight is cast to the activations' type."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class Block(nn.Module):
    """Attention over the row, then SwiGLU; `ff_out` is the down projection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.causal = shape.causal
        width, hidden = shape.width, shape.hidden
        self.attn_norm = Norm(width, shape.epsilon)
        self.q_proj = Matrix(width, width)
        self.k_proj = Matrix(width, width)
        self.v_proj = Matrix(width, width)
        self.attn_out = Matrix(width, width)
        self.ff_norm = Norm(width, shape.epsilon)
        self.ff_proj = Matrix(width, hidden)
        self.up_proj = Matrix(width, hidden)
        self.ff_out = Matrix(hidden, width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, allowed: Tensor | None) -> Tensor:
        rows, length, width = x.shape
        split = (rows, length, self.heads, width // self.heads)
        h = self.attn_norm(x)
        q = _rotate(self.q_proj(h).view(split).transpose(1, 2), cos, sin)  # [B, H, L, D]
        k = _rotate(self.k_proj(h).view(split).transpose(1, 2), cos, sin)
        v = self.v_proj(h).view(split).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, is_causal=self.causal)
        x = x + self.attn_out(mixed.transpose(1, 2).reshape(rows, length, width))
        h = self.ff_norm(x)
        out: Tensor = x + self.ff_out(F.silu(self.ff_proj(h)) * self.up_proj(h))
        return out


class _Transformer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.wte = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = Norm(shape.width, shape.epsilon)
        if not shape.tied:
            self.ff_out = Matrix(shape.width, shape.vocabulary)


class _Model(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.transformer = _Transformer(shape)


class Network(nn.Module):
    """Token ids in, one row of logits per position out, no shift between the two."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.model = _Model(self.shape)
        self.compute = torch.float32

    def initialise(self, seed: int) -> None:
        """Draw the weights: normal with 0.02, the two output maps of a block smaller."""
        generator = torch.Generator().manual_seed(seed)
        small = 0.02 / (2 * self.shape.layers) ** 0.5
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.dim() == 2:
                    writes = name.endswith(("attn_out.weight", "ff_out.weight"))
                    std = small if writes and ".blocks." in name else 0.02
                    weight.copy_(torch.randn(weight.shape, generator=generator) * std)

    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return logits [B, L, V]; positions that are not `valid` [B, L] are padding.

        A causal network takes no `valid`: what is right of a position never reaches it.
        """
        parts = self.model.transformer
        x = parts.wte(tokens).to(self.compute)  # [B, L, W]
        cos, sin = self._angles(tokens.shape[1], tokens.device)
        allowed = None if valid is None else valid[:, None, None, :]
        for block in parts.blocks:
            x = block(x, cos, sin, allowed)
        x = parts.ln_f(x)
        logits: Tensor = (
            F.linear(x, parts.wte.weight.to(x.dtype)) if self.shape.tied else parts.ff_out(x)
        )
        return logits

    def _angles(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        half = self.shape.width // self.shape.heads // 2
        inverse = self.shape.theta ** (-torch.arange(half, device=device) / half)
        angles = torch.arange(length, device=device)[:, None] * inverse  # [L, D/2]
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(self.compute), angles.sin().to(self.compute)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate by position: the second half of a head pairs with its first half."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def checkpoint_config(shape: Shape) -> dict[str, object]:
    """Return `config.json` in the field names of published LLaDA checkpoints."""
    return {
        "architectures": ["LLaDAModelLM"],
        "model_type": "llada",
        "activation_type": "silu",
        "alibi": False,
        "attention_dropout": 0.0,
        "attention_layer_norm": False,
        "block_group_size": 1,
        "block_type": "llama",
        "bos_token_id": BOS,
        "d_model": shape.width,
        "embedding_dropout": 0.0,
        "embedding_size": shape.vocabulary,
        "eos_token_id": EOS,
        "eot_token_id": EOT,
        "include_bias": False,
        "include_qkv_bias": False,
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "mask_token_id": MASK,
        "max_sequence_length": MAX_LENGTH,
        "mlp_hidden_size": shape.hidden,
        "mlp_ratio": shape.hidden // shape.width,
        "n_heads": shape.heads,
        "n_kv_heads": shape.heads,
        "n_layers": shape.layers,
        "pad_token_id": EOS,
        "residual_dropout": 0.0,
        "rms_norm_eps": shape.epsilon,
        "rope": True,
        "rope_full_precision": True,
        "rope_theta": shape.theta,
        "scale_logits": False,
        "torch_dtype": "float16",
        "use_cache": False,
        "vocab_size": shape.vocabulary,
        "weight_tying": False,
    }
