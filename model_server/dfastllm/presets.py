"""Named settings of the decoding rule: what `quality`, `balanced` and `fast` mean.

The meaning belongs to the model: its `generation_config.json` may say it, and `GENERIC` holds for a
model that does not. A preset says a part of what `DecodingParams` holds; the rest comes from what
lies below it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName


class PresetName(StrEnum):
    """How much of an answer's quality may go for its speed."""

    QUALITY = "quality"  # as good as the model answers
    BALANCED = "balanced"  # faster, with hardly a loss
    FAST = "fast"  # as fast as is still of use


@dataclass(frozen=True, slots=True)
class Preset:
    """What one preset says; None leaves a value to what lies below."""

    strategy: StrategyName | None = None
    threshold: float | None = None
    factor: float | None = None
    block_length: int | None = None
    cache: CacheKind | None = None
    remasking: Remasking | None = None
    lookahead: int | None = None
    r: float | None = None
    window: int | None = None

    @property
    def said(self) -> dict[str, Any]:
        """Its values by name."""
        values = {name: getattr(self, name) for name in PRESET_KEYS}
        return {name: value for name, value in values.items() if value is not None}

    def over(self, below: DecodingParams) -> DecodingParams:
        """`below` with what the preset says instead."""
        return replace(below, **self.said)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.said.items()) or "the default"


PRESET_KEYS = tuple(field.name for field in fields(Preset))

RULE_OF: Mapping[str, StrategyName] = MappingProxyType(
    {
        "steps": StrategyName.FIXED,
        "remasking": StrategyName.FIXED,
        "threshold": StrategyName.THRESHOLD,
        "factor": StrategyName.FACTOR,
        "r": StrategyName.APD,
        "window": StrategyName.APD,
    }
)
"""The strategy that a parameter belongs to, where it is not any one's."""

GENERIC: Mapping[PresetName, Preset] = MappingProxyType(
    {
        PresetName.QUALITY: Preset(StrategyName.FIXED),  # one token a step
        PresetName.BALANCED: Preset(StrategyName.THRESHOLD, threshold=0.9),
        PresetName.FAST: Preset(StrategyName.THRESHOLD, threshold=0.7),
    }
)
"""For a model that has none of its own; no rule here needs a verifier."""


def goes_with(name: str, strategy: StrategyName) -> bool:
    """Whether the rule has a use for a parameter; `apd` knows neither blocks nor caches."""
    if strategy is StrategyName.APD and name in ("block_length", "cache"):
        return False
    return RULE_OF.get(name, strategy) is strategy
