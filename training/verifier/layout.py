"""The verifier's sizes, and its file in the layout of Llama checkpoints."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training.checkpoint import Progress
from training.network import Network, Shape
from training.vocabulary import BOS, EOS, EOT, MAX_LENGTH

SHAPE = Shape(width=192, layers=4, heads=3, hidden=512, causal=True, tied=True)
LARGEST_FILE = 3_900_000

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
_TOP = {"wte": "model.embed_tokens", "ln_f": "model.norm"}
_LAYER = {
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}


def llama_name(name: str) -> str:
    """Return what Llama checkpoints call one of the network's parameters."""
    parts = name.removeprefix("model.transformer.").removesuffix(".weight").split(".")
    if len(parts) == 1:
        return f"{_TOP[parts[0]]}.weight"
    _, layer, part = parts
    return f"model.layers.{layer}.{_LAYER[part]}.weight"


def save(folder: Path, network: Network, progress: Progress) -> None:
    """Write weights in float16, with how they came about, and the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        llama_name(name): weight.detach().to(torch.float16).contiguous().cpu()
        for name, weight in network.named_parameters()
    }
    notes = {"format": "pt", "progress": json.dumps(asdict(progress))}
    save_file(weights, folder / _WEIGHTS, notes)
    (folder / _WEIGHTS).chmod(0o644)
    config = json.dumps(config_of(network.shape), indent=2)
    (folder / _CONFIG).write_text(config + "\n")


def read(folder: Path, shape: Shape = SHAPE) -> tuple[Network, Progress]:
    """Return what `save` wrote, in float32."""
    network = Network(shape)
    with safe_open(folder / _WEIGHTS, "pt") as file, torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(file.get_tensor(llama_name(name)))
        progress = Progress(**json.loads(file.metadata()["progress"]))
    return network, progress


def config_of(shape: Shape) -> dict[str, object]:
    """Return `config.json` in the field names of Llama checkpoints."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": BOS,
        "eos_token_id": [EOS, EOT],
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "initializer_range": 0.02,
        "intermediate_size": shape.hidden,
        "max_position_embeddings": MAX_LENGTH,
        "mlp_bias": False,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.heads,
        "pad_token_id": EOS,
        "rms_norm_eps": shape.epsilon,
        "rope_scaling": None,
        "rope_theta": shape.theta,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "float16",
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }
