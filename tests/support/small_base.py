"""A base like the published one, but small: a GGUF file in a package of its own, and its truth."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFWriter
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

import dfastllm.builtin
from dfastllm.builtin.base import Base

PACKAGE = "dfastllm-small-base"
SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<unused {i}>" for i in range(13)),
    "<empty_output>",
)  # fmt: skip
MERGES = ("a s", "as s", "i s", "t a", "n t")
HIDDEN, HEADS, KV_HEADS, INNER, LAYERS = 32, 4, 2, 48, 3
_GGUF = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True)
class SmallBase:
    """`network` is what the file was written from; `origin` finds the file once it is on a path."""

    origin: Base
    network: LlamaForCausalLM
    path: Path

    @property
    def tensors(self) -> dict[str, Tensor]:
        state = self.network.state_dict()
        return {name: t for name, t in state.items() if name != "lm_head.weight"}


def vocabulary() -> list[str]:
    letters = sorted(ByteLevel.alphabet())
    return [*SPECIALS, *letters, *(merge.replace(" ", "") for merge in MERGES)]


def small_base(directory: Path) -> SmallBase:
    """Writes the package's folder into `directory`."""
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary()),
            hidden_size=HIDDEN,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            rms_norm_eps=1e-5,
            rope_theta=100000.0,
            tie_word_embeddings=True,
            initializer_range=0.2,
        )
    ).eval()
    folder = directory / PACKAGE.replace("-", "_")
    folder.mkdir(parents=True)
    # It must never be imported.
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    path = folder / "small.gguf"
    _write(path, network)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return SmallBase(Base(PACKAGE, "1.0", path.name, digest), network, path)


def model_folder(
    directory: Path, base: Base, difference: dict[str, Tensor], **changes: Any
) -> Path:
    """A built-in's folder whose difference is in two files."""
    shipped = Path(dfastllm.builtin.__file__).parent / "smol"
    directory.mkdir()
    shutil.copy(shipped / "generation_config.json", directory)
    (directory / "MODEL_CARD.md").write_text("a card\n")
    config = json.loads((shipped / "config.json").read_text()) | {
        "base": asdict(base),
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HIDDEN // HEADS,
        "vocab_size": len(vocabulary()),
    }
    (directory / "config.json").write_text(json.dumps(config | changes))
    for i in range(2):
        part = dict(list(difference.items())[i::2])
        save_file(part, directory / f"difference-{i + 1}-of-2.safetensors")
    return directory


def _write(path: Path, network: LlamaForCausalLM) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_vocab_size(len(vocabulary()))
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary())
    kinds = [3 if token in SPECIALS else 1 for token in vocabulary()]
    writer.add_token_types(kinds)
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    for name, tensor in network.state_dict().items():
        if name != "lm_head.weight":
            writer.add_tensor(*_stored(name, tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _stored(name: str, tensor: Tensor) -> tuple[str, Any]:
    """Name and rows as llama.cpp's converter writes them."""
    top = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
    }
    if name in top:
        return top[name], tensor.numpy()
    _, _, layer, *rest = name.removesuffix(".weight").split(".")
    kind = ".".join(rest)
    heads = {"self_attn.q_proj": HEADS, "self_attn.k_proj": KV_HEADS}.get(kind)
    if heads is not None:
        halves = tensor.reshape(heads, 2, -1, tensor.shape[1])
        tensor = halves.transpose(1, 2).reshape(tensor.shape).contiguous()
    return f"blk.{layer}.{_GGUF[kind]}.weight", tensor.numpy()
