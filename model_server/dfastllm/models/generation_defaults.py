"""How a model wants to be decoded when a request does not say: `generation_config.json`.

Beside the usual sampling fields, an object `diffusion` may hold what suits the model; it uses the
names of the API. Its `presets` say what `quality`, `balanced` and `fast` mean for this model, with
the same names again. End tokens are read by `spec.py`. How long an answer may get is no matter of
this file: it is the request's `max_tokens`, else the setting `default_max_tokens`; `max_new_tokens`
is for other programs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName
from dfastllm.models.config_fields import ConfigFields
from dfastllm.presets import GENERIC, PRESET_KEYS, RULE_OF, Preset, PresetName, goes_with

_FILE = "generation_config.json"
# Masked positions right of the active block unless the model says otherwise. Full-attention models
# end early when they see few masks: below about 100 in the study of APD (arXiv 2506.00413).
DEFAULT_LOOKAHEAD = 128

_Enum = TypeVar("_Enum", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """Defaults of one model; `top_k` 0 and `top_p` 1 filter nothing, `temperature` 0 is greedy.

    `decoding` holds a value for every rule, also for those that are not the default; `presets` has
    every name.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    decoding: DecodingParams = field(
        default_factory=lambda: DecodingParams(lookahead=DEFAULT_LOOKAHEAD)
    )
    presets: Mapping[PresetName, Preset] = field(default_factory=lambda: GENERIC)

    def decoding_of(self, preset: PresetName | None = None) -> DecodingParams:
        """How an answer is decoded of which nothing is said but, perhaps, a preset."""
        said = self.decoding if preset is None else self.presets[preset].over(self.decoding)
        return said if goes_with("cache", said.strategy) else replace(said, cache=CacheKind.NONE)

    def under(self, preset: PresetName | None, said: Preset) -> "GenerationDefaults":
        """These below what a server chose: a preset, and on that the values it set itself."""
        chosen = Preset() if preset is None else self.presets[preset]
        return replace(self, decoding=said.over(chosen.over(self.decoding)))


def read_generation_defaults(generation_config: Mapping[str, Any]) -> GenerationDefaults:
    """Raises CheckpointError for a value out of range and for an unknown name in `diffusion`."""
    config = ConfigFields(generation_config, _FILE)
    top_p = _within(config, "top_p", above=0.0, most=1.0)
    decoding, presets = _read_diffusion(config)
    return GenerationDefaults(
        temperature=_temperature(config),
        top_p=1.0 if top_p is None else top_p,
        top_k=0 if not config.get("top_k") else config.count("top_k"),
        decoding=decoding,
        presets=presets,
    )


def _temperature(config: ConfigFields) -> float:
    """`do_sample` decides where it is written; a temperature alone means sampling with it."""
    if not config.flag("do_sample", default=config.get("temperature") is not None):
        return 0.0
    value = _within(config, "temperature", above=None, most=None)
    return 1.0 if value is None else value


def _read_diffusion(config: ConfigFields) -> tuple[DecodingParams, Mapping[PresetName, Preset]]:
    diffusion = _object(config, "diffusion", (*PRESET_KEYS, "presets"))
    decoding = _read_part(diffusion).over(DecodingParams(lookahead=DEFAULT_LOOKAHEAD))
    given = _object(diffusion, "presets", tuple(PresetName))
    own = {name: _read_preset(given, name) for name in PresetName if given.get(name) is not None}
    return decoding, {**GENERIC, **own}


def _object(config: ConfigFields, name: str, known: tuple[str, ...]) -> ConfigFields:
    """The object `name` of `config`, empty where it is absent; it may hold `known` names only."""
    values = config.get(name)
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise config.error(name, f"is {values!r}; an object is needed")
    if unknown := sorted(set(values) - set(known)):
        raise config.error(name, f"has unknown {', '.join(unknown)}; known: {', '.join(known)}")
    return ConfigFields(values, f"{config.file}{': ' if config.file == _FILE else '.'}{name}")


def _read_preset(given: ConfigFields, name: PresetName) -> Preset:
    """One preset. It is one rule, named or implied: what a request may not mix, it may not."""
    config = _object(given, name, PRESET_KEYS)
    preset = _read_part(config)
    implied = next((RULE_OF[key] for key in preset.said if key in RULE_OF), None)
    preset = replace(preset, strategy=preset.strategy or implied)
    if preset.strategy is None:
        return preset
    for key, value in preset.said.items():
        if not goes_with(key, preset.strategy) and value is not CacheKind.NONE:
            raise config.error(key, f"does not go with the strategy '{preset.strategy}'")
    return preset


def _read_part(config: ConfigFields) -> Preset:
    """What is said, and nothing else."""
    return Preset(
        strategy=_choice(config, "strategy", StrategyName),
        threshold=_within(config, "threshold", above=0.0, most=1.0),
        factor=_within(config, "factor", above=0.0, most=100.0),
        block_length=_count(config, "block_length"),
        cache=_choice(config, "cache", CacheKind),
        remasking=_choice(config, "remasking", Remasking),
        lookahead=_count(config, "lookahead"),
        r=_within(config, "r", above=None, most=1.0),
        window=_count(config, "window", zero=True),
    )


def _count(config: ConfigFields, name: str, *, zero: bool = False) -> int | None:
    value = config.get(name)
    if value is None or (zero and type(value) is int and value == 0):
        return value
    return config.count(name)


def _choice(config: ConfigFields, name: str, kind: type[_Enum]) -> _Enum | None:
    value = config.get(name)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        raise config.error(name, f"is {value!r}; one of {', '.join(kind)} is needed") from None


def _within(
    config: ConfigFields, name: str, *, above: float | None, most: float | None
) -> float | None:
    """A number greater than `above` (at least 0 where None) and at most `most`."""
    if config.get(name) is None:
        return None
    value = config.number(name)
    low_enough = most is None or value <= most
    if low_enough and (value >= 0 if above is None else value > above):
        return value
    lower = "at least 0" if above is None else f"above {above:g}"
    upper = "" if most is None else f" and at most {most:g}"
    raise config.error(name, f"is {value!r}; a number {lower}{upper} is needed")
