"""`read_generation_defaults`: what a model asks for, and nothing it does not say."""

from typing import Any

import pytest

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName
from dfastllm.errors import CheckpointError
from dfastllm.models.generation_defaults import GenerationDefaults, read_generation_defaults


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
