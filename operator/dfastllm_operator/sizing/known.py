"""Models whose shape is known without looking: the built-in one and the published families."""

from dfastllm_operator.api import Spec
from dfastllm_operator.api.model import BUILTIN
from dfastllm_operator.sizing.shape import ModelShape

# The config.json inside the server image; a test compares.
TINY = ModelShape(
    parameters=7_082_240,
    layers=8,
    kv_heads=4,
    head_dim=64,
    vocab_size=512,
    dtype="float16",
    max_position=1024,
)

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
}
"""Shapes by repository of the Hugging Face hub."""

_BY_URI = {BUILTIN: TINY} | {f"hf://{name}".lower(): shape for name, shape in KNOWN.items()}


def known_shape(spec: Spec) -> ModelShape | None:
    """The shape of the model the spec names, if its address says which one it is."""
    return _BY_URI.get(spec.model.uri.lower())


def needs_hub(spec: Spec) -> tuple[str, str | None] | None:
    """Repository and revision whose config.json would tell the size; None: no need to ask."""
    if spec.model.scheme != "hf" or spec.model.size is not None or known_shape(spec) is not None:
        return None
    return spec.model.uri.removeprefix("hf://"), spec.model.revision
