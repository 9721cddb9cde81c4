"""Causal language models of the Llama and Qwen2 layouts, which verify drafts and read contexts.

Their layers are those of Dream, read with a causal mask: Llama without q/k/v biases, Qwen2 with.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dfastllm.models.config_fields import ConfigFields, read_json
from dfastllm.models.loader import Progress, load_weights
from dfastllm.models.packed import pack_linears
from dfastllm.models.spec import (
    COMMON_SUPPORT,
    Family,
    NetworkSpec,
    Supported,
    checked,
    require,
    rope_theta,
)
from dfastllm.models.transformer import Transformer

_ARCHITECTURES: Mapping[str, Family] = {
    "LlamaForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
}
_MODEL_TYPES: Mapping[str, Family] = {"llama": "llama", "qwen2": "qwen2"}

_SUPPORT: Supported = {
    "hidden_act": (("silu",), "silu"),
    "attention_bias": ((False,), "false (Qwen2 has its own biases)"),
    "mlp_bias": ((False,), "false"),
    "use_sliding_window": ((False,), "false (full attention)"),
    "use_qk_norm": ((False,), "false (no Q/K norm)"),
    "partial_rotary_factor": ((1, 1.0), "1"),
}


def read_causal_spec(config: Mapping[str, Any]) -> NetworkSpec:
    """What the `config.json` of a causal model describes.

    Raises CheckpointError for an unknown architecture and for every option we do not compute.
    """
    fields = ConfigFields(config)
    family = _family(fields)
    require(fields, _SUPPORT, COMMON_SUPPORT)
    hidden_size, n_heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    vocab_size = fields.count("vocab_size")
    spec = NetworkSpec(
        family=family,
        vocab_size=vocab_size,
        embedding_rows=vocab_size,
        hidden_size=hidden_size,
        n_layers=fields.count("num_hidden_layers"),
        n_heads=n_heads,
        n_kv_heads=fields.count("num_key_value_heads", n_heads),
        head_dim=fields.count("head_dim", max(1, hidden_size // n_heads)),
        intermediate_size=fields.count("intermediate_size"),
        rope_theta=rope_theta(fields),
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        max_position=fields.count("max_position_embeddings"),
        qkv_bias=family == "qwen2",
        tied_head=fields.flag("tie_word_embeddings", default=False),
    )
    return checked(
        spec,
        fields,
        heads="num_attention_heads",
        kv_heads="num_key_value_heads",
        hidden="hidden_size" if fields.get("head_dim") is None else None,
    )


def load_causal(
    directory: Path, *, dtype: torch.dtype, device: torch.device, progress: Progress | None = None
) -> Transformer[NetworkSpec]:
    """The causal model of `directory` on `device`; raises CheckpointError."""
    spec = read_causal_spec(read_json(directory / "config.json"))
    with torch.device("meta"):
        model = Transformer(spec)
    weights = load_weights(directory, spec, dtype, device, progress)
    model.load_state_dict(weights, strict=True, assign=True)
    del weights  # else packing would hold every weight twice
    pack_linears(model)
    return model.requires_grad_(False).eval()


def _family(fields: ConfigFields) -> Family:
    architectures = fields.get("architectures")
    if architectures:
        names = architectures if isinstance(architectures, list) else [architectures]
        family, found = _ARCHITECTURES.get(str(names[0])), f"architectures is {names!r}"
    else:
        model_type = fields.get("model_type")
        family, found = _MODEL_TYPES.get(str(model_type)), f"model_type is {model_type!r}"
    if family is None:
        raise fields.error(
            "architectures",
            f"of a causal model: {found}; supported are {', '.join(_ARCHITECTURES)} "
            f"(model_type {', '.join(_MODEL_TYPES)})",
        )
    return family
