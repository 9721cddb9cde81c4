"""Which published tensor becomes which of our parameters, as data.

Each of our parameters lists the tensors whose rows it is made of, top to bottom: q, k and v are
one matrix here, and so are gate and up. Names are strict in both directions: the loader refuses a
checkpoint that lacks one or brings one that is not listed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dfastllm.models.spec import Family, NetworkSpec

_Sources = Mapping[str, tuple[str, ...]]

# In LLaDA `ff_out` is the down-projection inside a block and the head at the top level.
_LLADA: _Sources = {
    "embed.weight": ("model.transformer.wte.weight",),
    "norm.weight": ("model.transformer.ln_f.weight",),
    "head.weight": ("model.transformer.ff_out.weight",),
}
_LLADA_BLOCK = "model.transformer.blocks.{i}."
_LLADA_LAYER: _Sources = {
    "attn_norm.weight": ("attn_norm.weight",),
    "qkv.weight": ("q_proj.weight", "k_proj.weight", "v_proj.weight"),
    "qkv.bias": ("q_proj.bias", "k_proj.bias", "v_proj.bias"),
    "attn_out.weight": ("attn_out.weight",),
    "mlp_norm.weight": ("ff_norm.weight",),
    "gate_up.weight": ("ff_proj.weight", "up_proj.weight"),
    "down.weight": ("ff_out.weight",),
}

# Llama's names, which Qwen2 and Dream took over.
_DREAM: _Sources = {
    "embed.weight": ("model.embed_tokens.weight",),
    "norm.weight": ("model.norm.weight",),
    "head.weight": ("lm_head.weight",),
}
_DREAM_BLOCK = "model.layers.{i}."
_DREAM_LAYER: _Sources = {
    "attn_norm.weight": ("input_layernorm.weight",),
    "qkv.weight": (
        "self_attn.q_proj.weight",
        "self_attn.k_proj.weight",
        "self_attn.v_proj.weight",
    ),
    "qkv.bias": ("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"),
    "attn_out.weight": ("self_attn.o_proj.weight",),
    "mlp_norm.weight": ("post_attention_layernorm.weight",),
    "gate_up.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "down.weight": ("mlp.down_proj.weight",),
}

_FAMILIES: Mapping[Family, tuple[_Sources, str, _Sources]] = {
    "llada": (_LLADA, _LLADA_BLOCK, _LLADA_LAYER),
    "dream": (_DREAM, _DREAM_BLOCK, _DREAM_LAYER),
    "llama": (_DREAM, _DREAM_BLOCK, _DREAM_LAYER),
    "qwen2": (_DREAM, _DREAM_BLOCK, _DREAM_LAYER),
}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one published tensor goes: `shape[0]` rows of `parameter` from row `start`."""

    parameter: str
    start: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WeightMap:
    """A checkpoint's complete list of tensors.

    `placements`: published name -> place. `parameters`: our name -> shape of the fused tensor.
    `head_copies`: published names of the head of a model whose head is tied; some tools store it
    all the same, which is harmless as long as it equals the embedding.
    """

    placements: Mapping[str, Placement]
    parameters: Mapping[str, tuple[int, ...]]
    head_copies: tuple[str, ...] = ()


def weight_map(spec: NetworkSpec) -> WeightMap:
    """The tensors a checkpoint of this spec must hold, no more and no less."""
    top, block, layer = _FAMILIES[spec.family]
    shapes = _shapes(spec)
    placements: dict[str, Placement] = {}
    parameters: dict[str, tuple[int, ...]] = {}
    for prefix, name, sources in _expand(spec, top, block, layer):
        start, parameter, parts = 0, prefix + name, shapes[name]
        for source, shape in zip(sources, parts, strict=True):
            placements[source] = Placement(parameter, start, shape)
            start += shape[0]
        parameters[parameter] = (start, *parts[0][1:])
    copies = top["head.weight"] if spec.tied_head else ()
    return WeightMap(placements, parameters, copies)


def _expand(
    spec: NetworkSpec, top: _Sources, block: str, layer: _Sources
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(prefix, our name, published names) of the whole model, in the order of the forward."""
    yield "", "embed.weight", top["embed.weight"]
    for i in range(spec.n_layers):
        prefix = block.format(i=i)
        for name, sources in layer.items():
            if name != "qkv.bias" or spec.qkv_bias:
                yield f"layers.{i}.", name, tuple(prefix + source for source in sources)
    yield "", "norm.weight", top["norm.weight"]
    if not spec.tied_head:
        yield "", "head.weight", top["head.weight"]


def _shapes(spec: NetworkSpec) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of the parts each parameter is made of, without the layer's number."""
    hidden, inner = spec.hidden_size, spec.intermediate_size
    q, kv = spec.n_heads * spec.head_dim, spec.n_kv_heads * spec.head_dim
    return {
        "embed.weight": [(spec.embedding_rows, hidden)],
        "attn_norm.weight": [(hidden,)],
        "qkv.weight": [(q, hidden), (kv, hidden), (kv, hidden)],
        "qkv.bias": [(q,), (kv,), (kv,)],
        "attn_out.weight": [(hidden, q)],
        "mlp_norm.weight": [(hidden,)],
        "gate_up.weight": [(inner, hidden), (inner, hidden)],
        "down.weight": [(hidden, inner)],
        "norm.weight": [(hidden,)],
        "head.weight": [(spec.embedding_rows, hidden)],
    }
