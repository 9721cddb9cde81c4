"""Checkpoints that can be served and talked to: random weights, a byte-level tokenizer."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from support.reference import VECTORS
from support.vocabularies import CHATML, byte_level, write


def random_checkpoint(directory: Path, *, template: bool = True) -> Path:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(VECTORS / "llada-tiny" / name, directory)
    config = {"bos_token": "<|start|>"} | ({"chat_template": CHATML} if template else {})
    return write(directory, byte_level(), **config)


def causal_checkpoint(directory: Path, *, vocab_size: int | None = None, seed: int = 5) -> Path:
    """A verifier of `random_checkpoint` in Llama's layout: random weights, the same tokenizer."""
    vocab = (
        vocab_size or json.loads((VECTORS / "llada-tiny" / "config.json").read_text())["vocab_size"]
    )
    hidden, inner, heads, kv_heads, layers = 48, 64, 4, 2, 2
    config = {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": vocab,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": inner,
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
    }
    (directory / "config.json").write_text(json.dumps(config))
    kv = hidden // heads * kv_heads
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    for i in range(layers):
        prefix = f"model.layers.{i}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{prefix}{name}.weight"] = (hidden,)
        for name, rows in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
            shapes[f"{prefix}self_attn.{name}_proj.weight"] = (rows, hidden)
        for name, shape in (("gate", (inner, hidden)), ("up", (inner, hidden))):
            shapes[f"{prefix}mlp.{name}_proj.weight"] = shape
        shapes[f"{prefix}mlp.down_proj.weight"] = (hidden, inner)
    generator = torch.Generator().manual_seed(seed)
    tensors = {n: torch.randn(shape, generator=generator) * 0.4 for n, shape in shapes.items()}
    save_file(tensors, directory / "model.safetensors")
    return write(directory, byte_level())
