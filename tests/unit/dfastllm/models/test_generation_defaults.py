"""`read_generation_defaults`: what a model asks for, and nothing it does not say."""

from dataclasses import replace
from typing import Any

import pytest

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName
from dfastllm.errors import CheckpointError
from dfastllm.models.generation_defaults import GenerationDefaults, read_generation_defaults
from dfastllm.presets import GENERIC, Preset, PresetName


@pytest.mark.parametrize(
    ("config", "temperature"),
    [
        ({}, 0.0),
        ({"do_sample": False, "temperature": 0.7}, 0.0),
        ({"do_sample": True, "temperature": 0.7}, 0.7),
        ({"do_sample": True}, 1.0),
        ({"temperature": 0.2}, 0.2),
    ],
)
def test_sampling_is_off_unless_the_model_asks_for_it(
    config: dict[str, Any], temperature: float
) -> None:
    assert read_generation_defaults(config) == GenerationDefaults(temperature=temperature)


def test_the_diffusion_object_sets_decoding() -> None:
    config = {
        "top_p": 0.95,
        "top_k": 50,
        "diffusion": {
            "strategy": "factor",
            "threshold": 0.8,
            "factor": 2,
            "block_length": 16,
            "cache": "dual",
            "remasking": "entropy",
            "lookahead": 64,
        },
    }
    defaults = read_generation_defaults(config)
    assert (defaults.top_p, defaults.top_k) == (0.95, 50)
    assert defaults.decoding == DecodingParams(
        strategy=StrategyName.FACTOR,
        threshold=0.8,
        factor=2.0,
        block_length=16,
        cache=CacheKind.DUAL,
        remasking=Remasking.ENTROPY,
        lookahead=64,
    )


def test_what_is_no_matter_of_a_server_has_no_effect() -> None:
    config = {"max_new_tokens": 128, "max_length": 20, "eos_token_id": 2, "num_beams": 1}
    assert read_generation_defaults(config) == GenerationDefaults()


def presets(**meanings: Any) -> dict[PresetName, Preset]:
    return dict(read_generation_defaults({"diffusion": {"presets": meanings}}).presets)


@pytest.mark.parametrize("config", [{}, {"diffusion": {}}, {"diffusion": {"presets": None}}])
def test_a_model_that_defines_no_presets_has_the_generic_ones(config: dict[str, Any]) -> None:
    assert read_generation_defaults(config).presets == GENERIC


def test_a_model_defines_some_of_its_presets_and_those_as_a_whole() -> None:
    fast = {"strategy": "apd", "r": 0, "window": 0, "lookahead": 16, "cache": "none"}
    assert presets(fast=fast, quality=None) == {
        **GENERIC,
        PresetName.FAST: Preset(
            StrategyName.APD, r=0.0, window=0, lookahead=16, cache=CacheKind.NONE
        ),
    }


@pytest.mark.parametrize(
    ("said", "strategy"),
    [
        ({"threshold": 0.5}, StrategyName.THRESHOLD),
        ({"factor": 2}, StrategyName.FACTOR),
        ({"remasking": "entropy"}, StrategyName.FIXED),
        ({"r": 0.5, "window": 8}, StrategyName.APD),
        ({"strategy": "fixed", "block_length": 8}, StrategyName.FIXED),
        ({"cache": "dual"}, None),
        ({}, None),
    ],
)
def test_a_parameter_in_a_preset_implies_its_strategy(
    said: dict[str, Any], strategy: StrategyName | None
) -> None:
    assert presets(balanced=said)[PresetName.BALANCED].strategy is strategy


def test_decoding_of_a_preset_keeps_what_the_model_says_besides() -> None:
    meanings = {"fast": {"strategy": "apd", "r": 0.25}}
    diffusion = {"cache": "dual", "lookahead": 32, "threshold": 0.8, "presets": meanings}
    defaults = read_generation_defaults({"diffusion": diffusion})
    usual = DecodingParams(cache=CacheKind.DUAL, lookahead=32, threshold=0.8)
    assert defaults.decoding_of() == usual
    assert defaults.decoding_of(PresetName.QUALITY) == replace(usual, strategy=StrategyName.FIXED)
    assert defaults.decoding_of(PresetName.FAST) == replace(
        usual, strategy=StrategyName.APD, r=0.25, cache=CacheKind.NONE
    )


@pytest.mark.parametrize(
    ("meanings", "message"),
    [
        ([], "diffusion: presets is .*; an object is needed"),
        ({"turbo": {}}, "diffusion: presets has unknown turbo; known: quality, balanced, fast"),
        ({"fast": 0.7}, "diffusion.presets: fast is 0.7; an object is needed"),
        ({"fast": {"thresold": 0.7}}, "presets: fast has unknown thresold; known: strategy, thr"),
        ({"fast": {"presets": {}}}, "presets: fast has unknown presets"),
        ({"fast": {"steps": 8}}, "presets: fast has unknown steps"),
        ({"fast": {"threshold": 2}}, r"diffusion\.presets\.fast: threshold is 2.0; a number above"),
        ({"fast": {"window": -1}}, "presets.fast: window is -1; a positive integer"),
        ({"fast": {"window": False}}, "presets.fast: window is False"),
        ({"quality": {"strategy": "best"}}, "presets.quality: strategy is 'best'; one of fixed"),
        (
            {"quality": {"strategy": "apd", "threshold": 0.9}},
            "presets.quality: threshold does not go with the strategy 'apd'",
        ),
        ({"fast": {"threshold": 0.9, "factor": 1}}, "factor does not go with .* 'threshold'"),
        ({"fast": {"strategy": "apd", "block_length": 8}}, "block_length does not go with"),
        ({"fast": {"r": 0.5, "cache": "dual"}}, "cache does not go with the strategy 'apd'"),
    ],
)
def test_a_preset_that_makes_no_sense_is_refused_by_name(meanings: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"generation_config.json: .*{message}"):
        read_generation_defaults({"diffusion": {"presets": meanings}})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"diffusion": {"thresold": 0.9}}, "unknown thresold; known: strategy"),
        ({"diffusion": {"strategy": "best"}}, "one of fixed, threshold, factor"),
        ({"diffusion": {"threshold": 1.5}}, "above 0 and at most 1"),
        ({"diffusion": {"block_length": 0}}, "positive integer"),
        ({"diffusion": []}, "an object is needed"),
        ({"top_p": 0}, "above 0 and at most 1"),
        ({"top_k": -1}, "positive integer"),
        ({"do_sample": "yes"}, "true or false"),
        ({"temperature": -1.0}, "at least 0"),
    ],
)
def test_values_that_make_no_sense_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_generation_defaults(config)
