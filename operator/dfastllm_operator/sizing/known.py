"""Models whose shape is known without looking: the built-in ones and published families."""

from dataclasses import replace

from dfastllm_operator.api.model import Model
from dfastllm_operator.api.verifier import Verifier, VerifierName
from dfastllm_operator.sizing.shape import ModelShape

# The config.json files inside the server image; a test compares.
TINY = ModelShape(
    parameters=7_082_240,
    layers=8,
    kv_heads=4,
    head_dim=64,
    vocab_size=512,
    dtype="float16",
    max_position=1024,
)

TINY_VERIFIER = ModelShape(
    parameters=1_869_504,
    layers=4,
    kv_heads=3,
    head_dim=64,
    vocab_size=512,
    dtype="float16",
    max_position=1024,
)
SMOL_BASE = ModelShape(
    parameters=134_515_008,
    layers=30,
    kv_heads=3,
    head_dim=64,
    vocab_size=49_152,
    max_position=2048,
)
SMOL = replace(SMOL_BASE, context=SMOL_BASE)
"""The model it was made from reads its context, and verifies."""

# config.json of GSAI-ML/LLaDA-8B-Instruct: d_model 4096, 32 layers, 32 heads without grouping,
# MLP 12288, embedding_size 126464, untied head. LLaDA-1.5 is the same network, tuned further.
_LLADA_8B = ModelShape(
    parameters=8_015_581_184,
    layers=32,
    kv_heads=32,
    head_dim=128,
    vocab_size=126_464,
    max_position=4096,
)


def _qwen_7b(max_position: int) -> ModelShape:
    """Qwen2.5-7B's network, which Dream, Dream-Coder and DiffuCoder were trained from.

    Hidden 3584, 28 layers, 28 heads over 4 for keys and values, MLP 18944, vocabulary 152064,
    untied head, biases on q, k and v.
    """
    return ModelShape(
        parameters=7_615_616_512,
        layers=28,
        kv_heads=4,
        head_dim=128,
        vocab_size=152_064,
        max_position=max_position,
    )


# config.json of Qwen2.5-0.5B, the smallest with Dream's tokens: hidden 896, 24 layers, 14 heads
# over 2, MLP 4864, vocabulary 151936, tied head, biases on q, k and v.
_QWEN_05B = ModelShape(
    parameters=494_032_768,
    layers=24,
    kv_heads=2,
    head_dim=64,
    vocab_size=151_936,
    max_position=32_768,
)

KNOWN = {
    "GSAI-ML/LLaDA-8B-Base": _LLADA_8B,
    "GSAI-ML/LLaDA-8B-Instruct": _LLADA_8B,
    "GSAI-ML/LLaDA-1.5": _LLADA_8B,
    "Dream-org/Dream-v0-Base-7B": _qwen_7b(131_072),
    "Dream-org/Dream-v0-Instruct-7B": _qwen_7b(131_072),
    "Dream-org/Dream-Coder-v0-Base-7B": _qwen_7b(32_768),
    "Dream-org/Dream-Coder-v0-Instruct-7B": _qwen_7b(32_768),
    "apple/DiffuCoder-7B-Base": _qwen_7b(131_072),
    "apple/DiffuCoder-7B-Instruct": _qwen_7b(131_072),
    "apple/DiffuCoder-7B-cpGRPO": _qwen_7b(131_072),
    "Qwen/Qwen2.5-0.5B": _QWEN_05B,
    "Qwen/Qwen2.5-0.5B-Instruct": _QWEN_05B,
}
"""Shapes by repository of the Hugging Face hub."""

_BY_URI = {
    "builtin://tiny": TINY,
    "builtin://tiny-verifier": TINY_VERIFIER,
    "builtin://smol": SMOL,
    "builtin://smol-verifier": SMOL_BASE,
} | {f"hf://{name}".lower(): shape for name, shape in KNOWN.items()}


def known_shape(uri: str) -> ModelShape | None:
    """The shape of the model at `uri`, if the address says which one it is."""
    return _BY_URI.get(uri.lower())


def verifier_of(model: Model) -> Verifier | None:
    """The verifier of `model`: the one that is named, or that a built-in model brings."""
    if model.verifier is not None:
        return None if model.verifier.name is VerifierName.NONE else model.verifier
    return Verifier(uri=f"{model.uri}-verifier") if model.built_in else None


def is_context(verifier: Verifier, shape: ModelShape) -> bool:
    """Whether `verifier` is the very network that reads the context of a model of this shape."""
    return shape.context is not None and known_shape(verifier.uri or "") is shape.context


def needs_hub(at: Model | Verifier) -> tuple[str, str | None] | None:
    """Repository and revision whose config.json would tell the size; None: no need to ask."""
    uri = at.uri or ""
    if not uri.startswith("hf://") or at.size is not None or known_shape(uri) is not None:
        return None
    return uri.removeprefix("hf://"), at.revision
