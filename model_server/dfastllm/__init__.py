"""dfastllm: a server for diffusion language models.

`LLM` is the offline door, `DFastLLMEngine` the engine; both load lazily so that the command line
answers `--help` without importing torch.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["LLM", "DFastLLMEngine", "DecodingParams", "SamplingParams", "__version__"]

if TYPE_CHECKING:
    from dfastllm.core import DecodingParams, SamplingParams
    from dfastllm.engine.engine import DFastLLMEngine
    from dfastllm.llm import LLM

_HOMES = {
    "LLM": "dfastllm.llm",
    "DFastLLMEngine": "dfastllm.engine.engine",
    "DecodingParams": "dfastllm.core",
    "SamplingParams": "dfastllm.core",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dfastllm' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
