"""How a model wants to be decoded when a request does not say: `generation_config.json`.

Beside the usual sampling fields, an object `diffusion` may hold what suits the model; it uses the
names of the API. End tokens are read by `spec.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName
from dfastllm.models.config_fields import ConfigFields

_FILE = "generation_config.json"
_DIFFUSION = (
    "strategy",
    "threshold",
    "factor",
    "block_length",
    "cache",
    "remasking",
    "lookahead",
    "r",
    "window",
)
# Masked positions right of the active block unless the model says otherwise. Full-attention models
# end early when they see few masks: below about 100 in the study of APD (arXiv 2506.00413).
DEFAULT_LOOKAHEAD = 128

_Enum = TypeVar("_Enum", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """Defaults of one model; `top_k` 0 and `top_p` 1 filter nothing, `temperature` 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    decoding: DecodingParams = field(
        default_factory=lambda: DecodingParams(lookahead=DEFAULT_LOOKAHEAD)
    )


def read_generation_defaults(generation_config: Mapping[str, Any]) -> GenerationDefaults:
    """Raises CheckpointError for a value out of range and for an unknown name in `diffusion`."""
    config = ConfigFields(generation_config, _FILE)
    return GenerationDefaults(
        temperature=_temperature(config),
        top_p=_within(config, "top_p", 1.0, above=0.0, most=1.0),
        top_k=0 if not config.get("top_k") else config.count("top_k"),
        decoding=_read_decoding(config),
    )


def _temperature(config: ConfigFields) -> float:
    """`do_sample` decides where it is written; a temperature alone means sampling with it."""
    if not config.flag("do_sample", default=config.get("temperature") is not None):
        return 0.0
    return _within(config, "temperature", 1.0, above=None, most=None)


def _read_decoding(config: ConfigFields) -> DecodingParams:
    values = config.get("diffusion")
    if values is None:
        return DecodingParams(lookahead=DEFAULT_LOOKAHEAD)
    if not isinstance(values, dict):
        raise config.error("diffusion", f"is {values!r}; an object is needed")
    if unknown := sorted(set(values) - set(_DIFFUSION)):
        raise config.error(
            "diffusion", f"has unknown {', '.join(unknown)}; known: {', '.join(_DIFFUSION)}"
        )
    diffusion = ConfigFields(values, f"{_FILE}: diffusion")
    usual = DecodingParams()
    return DecodingParams(
        strategy=_choice(diffusion, "strategy", StrategyName, usual.strategy),
        threshold=_within(diffusion, "threshold", usual.threshold, above=0.0, most=1.0),
        factor=_within(diffusion, "factor", usual.factor, above=0.0, most=100.0),
        block_length=diffusion.count("block_length", usual.block_length),
        cache=_choice(diffusion, "cache", CacheKind, usual.cache),
        remasking=_choice(diffusion, "remasking", Remasking, usual.remasking),
        lookahead=diffusion.count("lookahead", DEFAULT_LOOKAHEAD),
        r=_within(diffusion, "r", usual.r, above=None, most=1.0),
        window=None if diffusion.get("window") is None else diffusion.count("window"),
    )


def _choice(config: ConfigFields, name: str, kind: type[_Enum], default: _Enum) -> _Enum:
    value = config.get(name)
    if value is None:
        return default
    try:
        return kind(value)
    except ValueError:
        raise config.error(name, f"is {value!r}; one of {', '.join(kind)} is needed") from None


def _within(
    config: ConfigFields, name: str, default: float, *, above: float | None, most: float | None
) -> float:
    """A number greater than `above` (at least 0 where None) and at most `most`."""
    value = config.number(name, default)
    low_enough = most is None or value <= most
    if low_enough and (value >= 0 if above is None else value > above):
        return value
    lower = "at least 0" if above is None else f"above {above:g}"
    upper = "" if most is None else f" and at most {most:g}"
    raise config.error(name, f"is {value!r}; a number {lower}{upper} is needed")
