"""A base of the right layout and next to no size."""

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from training.smol.base import GROUPS, Base, matrix_names

WIDTH, FEED, VOCABULARY, LAYERS = 36, 48, 280, 2
SHAPES = {
    "square": (WIDTH, WIDTH),
    "narrow": (WIDTH // 3, WIDTH),
    "rise": (FEED, WIDTH),
    "fall": (WIDTH, FEED),
}


@pytest.fixture
def base() -> Base:
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator) * 0.2

    return Base(
        embedding=draw(VOCABULARY, WIDTH),
        matrices={group: draw(LAYERS * len(GROUPS[group]), *SHAPES[group]) for group in GROUPS},
        norms=1 + draw(LAYERS, 2, WIDTH),
        last_norm=1 + draw(WIDTH),
    )


@pytest.fixture
def named(base: Base) -> dict[str, Tensor]:
    """The same tensors under their published names."""
    tensors = {
        "model.embed_tokens.weight": base.embedding,
        "model.norm.weight": base.last_norm,
    }
    for group, stack in base.matrices.items():
        tensors |= dict(zip(matrix_names(group, LAYERS), stack, strict=True))
    for layer in range(LAYERS):
        tensors[f"model.layers.{layer}.input_layernorm.weight"] = base.norms[layer, 0]
        tensors[f"model.layers.{layer}.post_attention_layernorm.weight"] = base.norms[layer, 1]
    return tensors


@pytest.fixture
def tokenizer() -> Tokenizer:
    """The base's special tokens at their ids, and single bytes instead of merges."""
    named = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<unused_{at}>" for at in range(14))]
    pieces = [*named, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in named])
    return made
