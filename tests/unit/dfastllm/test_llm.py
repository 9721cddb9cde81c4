"""The offline API: decoding by default, by preset, and by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dfastllm import LLM, DecodingParams
from dfastllm.core import CacheKind, StrategyName
from dfastllm.errors import InvalidRequest
from dfastllm.presets import PresetName
from support.checkpoints import random_checkpoint

DIFFUSION = {
    "cache": "dual",
    "lookahead": 8,
    "presets": {"balanced": {"factor": 2.0}, "fast": {"strategy": "apd", "window": 4}},
}
USUAL = DecodingParams(cache=CacheKind.DUAL, lookahead=8)


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> LLM:
    model: Path = random_checkpoint(tmp_path_factory.mktemp("model"))
    (model / "generation_config.json").write_text(json.dumps({"diffusion": DIFFUSION}))
    return LLM(str(model))


def test_a_preset_decodes_as_what_it_stands_for(llm: LLM) -> None:
    options = {"max_tokens": 12, "ignore_eos": True}
    (quality,) = llm.generate("ab", preset="quality", **options)
    by_hand = replace(USUAL, strategy=StrategyName.FIXED)
    assert quality.stats.forward_passes == 12
    assert quality.token_ids == llm.generate("ab", decoding=by_hand, **options)[0].token_ids
    turn = [{"role": "user", "content": "ab"}]
    assert llm.chat(turn, preset=PresetName.QUALITY, **options).stats.forward_passes == 12


def test_the_decoding_of_a_preset_can_be_had_and_changed(llm: LLM) -> None:
    assert llm.decoding() == USUAL
    assert llm.decoding("balanced") == replace(USUAL, strategy=StrategyName.FACTOR, factor=2.0)
    fast = llm.decoding(PresetName.FAST)
    assert (fast.strategy, fast.window, fast.cache) == (StrategyName.APD, 4, CacheKind.NONE)


def test_a_preset_that_needs_a_verifier_is_refused_without_one(llm: LLM) -> None:
    with pytest.raises(InvalidRequest, match="needs a verifier"):
        llm.generate("ab", preset="fast")


def test_an_unknown_preset_is_refused_with_the_names_there_are(llm: LLM) -> None:
    with pytest.raises(InvalidRequest, match="no preset 'turbo'; there are quality, balanced, fa"):
        llm.generate("ab", preset="turbo")


def test_a_preset_beside_a_whole_decoding_is_refused(llm: LLM) -> None:
    with pytest.raises(InvalidRequest, match="give one of them") as caught:
        llm.generate("ab", decoding=USUAL, preset="fast")
    assert caught.value.param == "preset"
