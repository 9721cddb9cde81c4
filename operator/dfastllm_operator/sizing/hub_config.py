"""What a model's config.json says about its size; pure.

Two spellings are read: LLaDA's own and the one all of Hugging Face uses (Dream, Qwen, Llama).
Whether the server can run the model is for the server to say.
"""

from dataclasses import dataclass
from typing import Any

from dfastllm_operator.core import Json
from dfastllm_operator.sizing.shape import BYTES, ModelShape


@dataclass(frozen=True, slots=True)
class HubConfig:
    """A config.json that was read, and the shape it describes."""

    repository: str
    shape: ModelShape


def read_config(repository: str, config: Json) -> HubConfig | None:
    """None when a number is missing or no number, or the network is a mixture of experts."""
    try:
        shape = _llada(config) if "d_model" in config else _common(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return HubConfig(repository, shape) if shape is not None else None


def _llada(config: Json) -> ModelShape:
    hidden, heads = _count(config, "d_model"), _count(config, "n_heads")
    vocab = _count(config, "vocab_size")
    return _shape(
        config,
        hidden=hidden,
        layers=_count(config, "n_layers"),
        heads=heads,
        kv_heads=_count(config, "n_kv_heads", heads),
        head_dim=hidden // heads,
        mlp=_count(config, "mlp_hidden_size", 4 * hidden),
        rows=max(vocab, _count(config, "embedding_size", vocab)),
        tied=bool(config.get("weight_tying", True)),
        max_position=_count(config, "max_sequence_length", 0),
    )


def _common(config: Json) -> ModelShape | None:
    if any(int(config.get(key) or 0) > 1 for key in _EXPERTS):
        return None
    hidden, heads = _count(config, "hidden_size"), _count(config, "num_attention_heads")
    return _shape(
        config,
        hidden=hidden,
        layers=_count(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=_count(config, "num_key_value_heads", heads),
        head_dim=_count(config, "head_dim", hidden // heads),
        mlp=_count(config, "intermediate_size"),
        rows=_count(config, "vocab_size"),
        tied=bool(config.get("tie_word_embeddings", False)),
        max_position=_count(config, "max_position_embeddings", 0),
    )


_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def _shape(
    config: Json,
    *,
    hidden: int,
    layers: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    mlp: int,
    rows: int,
    tied: bool,
    max_position: int,
) -> ModelShape:
    """Parameters counted as a gated transformer has them; biases do not matter."""
    attention = 2 * hidden * heads * head_dim + 2 * hidden * kv_heads * head_dim
    layer = attention + 3 * hidden * mlp + 2 * hidden
    parameters = layers * layer + (1 if tied else 2) * rows * hidden + hidden
    return ModelShape(
        parameters=parameters,
        layers=layers,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab_size=rows,
        dtype=_dtype(config),
        max_position=max_position,
    )


def _count(config: Json, key: str, default: int | None = None) -> int:
    """A positive integer; `default` where the configuration says nothing."""
    value: Any = config.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} is {value!r}")
    return value


def _dtype(config: Json) -> str:
    """The stored format; what is not said is float32, as in the transformers library."""
    said = str(config.get("torch_dtype") or config.get("dtype") or "float32")
    return said if said in BYTES else "bfloat16"
