"""What a checkpoint is: shapes, ids and conventions, read from its configuration alone.

Names are never looked at: a directory called anything is LLaDA when its config says so. Whatever
our transformer does not compute is refused by field, value and what would be supported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from dfastllm.errors import CheckpointError
from dfastllm.models.config_fields import ConfigFields
from dfastllm.models.context_fields import causal_context, context_model

Family = Literal["llada", "dream", "llama", "qwen2"]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What the transformer and the loader need to know of a model.

    `family` says how its tensors are named. `embedding_rows` may exceed `vocab_size`: the rows
    beyond are padding, never produced.
    """

    family: Family
    vocab_size: int
    embedding_rows: int
    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    intermediate_size: int
    rope_theta: float
    norm_eps: float
    max_position: int
    qkv_bias: bool
    tied_head: bool


@dataclass(frozen=True, slots=True)
class ModelSpec(NetworkSpec):
    """A masked diffusion model: also what the decoding rules need to know.

    `shift_logits`: the output at p-1 predicts position p (Dream). Any of `eos_ids` ends the answer
    (end of text, end of turn); `fill_id` is the one that fills what lies behind the end.
    `confidence` is the distribution a candidate's score is read from: un-noised softmax (`raw`) or
    tempered and filtered (`filtered`). `schedule` is the quota under `fixed`. `forbidden_ids` are
    never committed; the mask is always among them. `causal_context`: what is left of the active
    block sees nothing right of itself, the block sees both, and nothing sees what is right of it.
    `context_model`: the folder of the network that reads the context, if that is another one.
    """

    shift_logits: bool
    mask_id: int
    eos_ids: tuple[int, ...]
    fill_id: int
    bos_id: int | None = None
    confidence: Literal["raw", "filtered"] = "raw"
    schedule: Literal["linear", "dream"] = "linear"
    forbidden_ids: tuple[int, ...] = ()
    causal_context: bool = False
    context_model: str | None = None

    def __post_init__(self) -> None:
        if self.mask_id not in self.forbidden_ids:
            object.__setattr__(self, "forbidden_ids", (self.mask_id, *self.forbidden_ids))


@dataclass(frozen=True, slots=True)
class _KnownIds:
    """Ids of a published vocabulary that its configurations leave out.

    They apply only where the vocabulary has the published size (`sizes`): in a larger one the same
    numbers are ordinary words.
    """

    sizes: range
    mask: int
    eos: int
    turn_end: int
    bos: int | None


_LLADA_IDS = _KnownIds(range(126349, 126465), mask=126336, eos=126081, turn_end=126348, bos=126080)
_DREAM_IDS = _KnownIds(range(151667, 152065), mask=151666, eos=151643, turn_end=151645, bos=None)

_Spec = TypeVar("_Spec", bound=NetworkSpec)

# field -> (values we compute the same result for, in words). Absent and null are always fine.
Supported = Mapping[str, tuple[tuple[object, ...], str]]

COMMON_SUPPORT: Supported = {
    "quantization_config": ((), "unquantised float weights"),
    "num_experts": ((0, 1), "dense models only"),
    "num_local_experts": ((0, 1), "dense models only"),
    "n_routed_experts": ((0, 1), "dense models only"),
    "moe_num_experts": ((0, 1), "dense models only"),
}

_DIFFUSION_SUPPORT: Supported = {
    "context_attention": (("full", "causal"), "full, causal"),
}

_LLADA_SUPPORT: Supported = {
    "block_type": (("llama",), "llama"),
    "block_group_size": ((1,), "1"),
    "layer_norm_type": (("rms",), "rms"),
    "layer_norm_with_affine": ((True,), "true"),
    "bias_for_layer_norm": ((False,), "false"),
    "attention_layer_norm": ((False,), "false (no Q/K norm)"),
    "input_emb_norm": ((False,), "false"),
    "activation_type": (("silu",), "silu"),
    "alibi": ((False,), "false (rotary positions)"),
    "rope": ((True,), "true"),
    "rope_scaling": ((), "null"),
    "include_bias": ((False,), "false (include_qkv_bias may be true)"),
    "scale_logits": ((False,), "false"),
    "clip_qkv": ((), "null"),
}

_DREAM_SUPPORT: Supported = {
    "hidden_act": (("silu",), "silu"),
    "use_sliding_window": ((False,), "false (full attention)"),
    "use_qk_norm": ((False,), "false (no Q/K norm)"),
    "qk_layernorm": ((False,), "false (no Q/K norm)"),
    "mlp_bias": ((False,), "false"),
}


def read_spec(config: Mapping[str, Any], generation_config: Mapping[str, Any]) -> ModelSpec:
    """The spec a `config.json` describes; `generation_config` adds end tokens and a mask id.

    Raises CheckpointError for an unknown architecture and for every option we do not compute.
    """
    fields = ConfigFields(config)
    generation = ConfigFields(generation_config, "generation_config.json")
    return _READERS[_family(fields)](fields, generation)


def _read_llada(fields: ConfigFields, generation: ConfigFields) -> ModelSpec:
    require(fields, _LLADA_SUPPORT, _DIFFUSION_SUPPORT, COMMON_SUPPORT)
    hidden_size, n_heads = fields.count("d_model"), fields.count("n_heads")
    vocab_size = fields.count("vocab_size")
    ids = _read_ids(fields, generation, vocab_size, _LLADA_IDS)
    one_kv_head = fields.flag("multi_query_attention", default=False)
    n_kv_heads = fields.count("n_kv_heads", 1 if one_kv_head else n_heads)
    spec = ModelSpec(
        family="llada",
        vocab_size=vocab_size,
        embedding_rows=fields.count("embedding_size", vocab_size),
        hidden_size=hidden_size,
        n_layers=fields.count("n_layers"),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=hidden_size // n_heads,
        intermediate_size=fields.count("mlp_hidden_size", _mlp_by_ratio(fields, hidden_size)),
        rope_theta=fields.number("rope_theta", 10000.0),
        norm_eps=fields.number("rms_norm_eps", 1e-5),
        max_position=fields.count("max_sequence_length"),
        qkv_bias=fields.flag("include_qkv_bias", default=False),
        tied_head=fields.flag("weight_tying", default=True),
        shift_logits=False,
        confidence="raw",
        schedule="linear",
        causal_context=causal_context(fields),
        context_model=context_model(fields),
        **ids,
    )
    return checked(spec, fields, heads="n_heads", kv_heads="n_kv_heads", hidden="d_model")


def _read_dream(fields: ConfigFields, generation: ConfigFields) -> ModelSpec:
    require(fields, _DREAM_SUPPORT, _DIFFUSION_SUPPORT, COMMON_SUPPORT)
    hidden_size, n_heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    vocab_size = fields.count("vocab_size")
    ids = _read_ids(fields, generation, vocab_size, _DREAM_IDS)
    spec = ModelSpec(
        family="dream",
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
        qkv_bias=True,
        tied_head=fields.flag("tie_word_embeddings", default=False),
        shift_logits=True,
        confidence="filtered",
        schedule="dream",
        causal_context=causal_context(fields),
        context_model=context_model(fields),
        **ids,
    )
    return checked(
        spec,
        fields,
        heads="num_attention_heads",
        kv_heads="num_key_value_heads",
        hidden="hidden_size" if fields.get("head_dim") is None else None,
    )


_READERS: Mapping[str, Callable[[ConfigFields, ConfigFields], ModelSpec]] = {
    "llada": _read_llada,
    "dream": _read_dream,
}
_ARCHITECTURES: Mapping[str, Family] = {"LLaDAModelLM": "llada", "DreamModel": "dream"}
_MODEL_TYPES: Mapping[str, Family] = {"llada": "llada", "Dream": "dream"}


def _family(fields: ConfigFields) -> Family:
    architectures = fields.get("architectures")
    if architectures:
        names = architectures if isinstance(architectures, list) else [architectures]
        family, found = _ARCHITECTURES.get(str(names[0])), f"architectures is {names!r}"
    else:
        model_type = fields.get("model_type")
        family, found = _MODEL_TYPES.get(str(model_type)), f"model_type is {model_type!r}"
    if family is not None:
        return family
    remote = ""
    if fields.get("auto_map"):
        remote = "; auto_map names code inside the checkpoint, which is never executed"
    raise CheckpointError(
        f"{fields.file}: {found}; supported are {', '.join(_ARCHITECTURES)} "
        f"(model_type {', '.join(_MODEL_TYPES)}){remote}"
    )


def require(fields: ConfigFields, *tables: Supported) -> None:
    """Raise CheckpointError for the first option of `tables` that we do not compute."""
    for name, (values, words) in (item for table in tables for item in table.items()):
        value = fields.get(name)
        if value is not None and value not in values:
            raise fields.error(name, f"is {value!r}; supported: {words}")


def _read_ids(
    fields: ConfigFields, generation: ConfigFields, vocab_size: int, known: _KnownIds
) -> dict[str, Any]:
    """`mask_id`, `eos_ids`, `fill_id` and `bos_id`, each where it is said first."""
    published = vocab_size in known.sizes
    masks = [f.token_id("mask_token_id", vocab_size) for f in (fields, generation)]
    mask_id = next((m for m in masks if m is not None), known.mask if published else None)
    if mask_id is None:
        raise fields.error("mask_token_id", f"is missing (and vocab_size is {vocab_size})")
    ends = [
        *fields.token_ids("eos_token_id", vocab_size),
        *fields.token_ids("eot_token_id", vocab_size),
        *generation.token_ids("eos_token_id", vocab_size),
        *((known.eos, known.turn_end) if published else ()),
    ]
    if not ends:
        raise fields.error("eos_token_id", "is missing; nothing would end an answer")
    if mask_id in ends:
        raise fields.error("eos_token_id", f"names the mask token {mask_id}")
    pad_id = fields.token_id("pad_token_id", vocab_size)
    bos_id = fields.token_id("bos_token_id", vocab_size)
    return {
        "mask_id": mask_id,
        "eos_ids": tuple(dict.fromkeys(ends)),
        "fill_id": pad_id if pad_id in ends else ends[0],
        "bos_id": known.bos if bos_id is None and published else bos_id,
    }


def rope_theta(fields: ConfigFields) -> float:
    """Rotary base of a Qwen2-like configuration, old (`rope_theta`) or new (`rope_parameters`)."""
    for name in ("rope_scaling", "rope_parameters"):
        value = fields.get(name)
        if value is None:
            continue
        kind = (
            value.get("rope_type", value.get("type", "default"))
            if isinstance(value, dict)
            else value
        )
        if kind != "default":
            raise fields.error(name, f"is {value!r}; supported: null or rope_type default")
        if "rope_theta" in value:
            return ConfigFields(value, f"{fields.file}: {name}").number("rope_theta")
    return fields.number("rope_theta", 10000.0)


def _mlp_by_ratio(fields: ConfigFields, hidden_size: int) -> int:
    return int(fields.number("mlp_ratio", 4) * hidden_size)


def checked(
    spec: _Spec, fields: ConfigFields, *, heads: str, kv_heads: str, hidden: str | None
) -> _Spec:
    """The spec itself when its numbers fit together."""
    if hidden is not None and spec.hidden_size % spec.n_heads:
        raise fields.error(
            hidden, f"is {spec.hidden_size}, not a multiple of {heads} {spec.n_heads}"
        )
    if spec.head_dim % 2:
        raise fields.error(
            heads, f"gives heads of {spec.head_dim}; rotary positions need an even size"
        )
    if spec.n_heads % spec.n_kv_heads:
        raise fields.error(kv_heads, f"is {spec.n_kv_heads}, which does not divide {spec.n_heads}")
    if spec.embedding_rows < spec.vocab_size:
        raise fields.error(
            "embedding_size", f"is {spec.embedding_rows}, less than vocab_size {spec.vocab_size}"
        )
    return spec
