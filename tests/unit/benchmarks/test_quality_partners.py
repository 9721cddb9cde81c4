"""A server is asked with our rules, or with none where it knows none."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.quality_partners import Answer, Offline, Served
from benchmarks.quality_rules import (
    DEFAULT,
    GRIDS,
    Rule,
    apd,
    blocks,
    cached,
    fixed,
    preset,
    rules_of,
    threshold,
)
from benchmarks.quality_suites import MAX_TOKENS, Question
from dfastllm.core import CacheKind, DecodingParams, Request, StrategyName
from dfastllm.decoding.schedule import steps_of_block
from dfastllm.errors import InvalidRequest
from dfastllm.presets import PresetName
from support.causal_context import two_network_checkpoint
from support.reference import run
from support.two_networks import Pair, engine_of, load_pair

QUESTION = Question("x", [{"role": "user", "content": "What is 27 + 48?"}])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder: Path = tmp_path_factory.mktemp("pair")
    return load_pair(two_network_checkpoint(folder))


def server(owner: str, seen: list[dict[str, Any]], **report: Any) -> httpx.MockTransport:
    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "m", "owned_by": owner}]})
        seen.append(json.loads(request.content))
        choice = {"message": {"content": "75"}, "finish_reason": "stop"}
        body = {"choices": [choice], "usage": {"completion_tokens": 3}, **report}
        return httpx.Response(200, json=body)

    return httpx.MockTransport(reply)


def test_a_rule_is_sent_with_its_steps_and_the_report_is_read() -> None:
    seen: list[dict[str, Any]] = []
    report = {"forward_passes": 2, "verifier_passes": 1, "drafted": 9, "accepted": 3}
    report |= {"context_passes": 5}
    transport = server("dfastllm", seen, diffusion=report)
    partner = Served("http://x", rows=2, transport=transport)
    answers = partner.answer([QUESTION] * 3, fixed(4), 96)
    assert answers == [Answer("75", 3, 2, True, 1, 9, 3, 5)] * 3
    assert [body["diffusion"] for body in seen] == [{"strategy": "fixed", "steps": 24}] * 3
    assert seen[0]["messages"] == QUESTION.messages


def test_one_token_a_step_is_asked_for_without_a_number_of_steps() -> None:
    seen: list[dict[str, Any]] = []
    partner = Served("http://x", rows=1, transport=server("dfastllm", seen))
    partner.answer([QUESTION], fixed(1), 48)
    assert seen[0]["diffusion"] == {"strategy": "fixed"}


@pytest.mark.parametrize("max_tokens", sorted({*MAX_TOKENS.values(), 33}))
@pytest.mark.parametrize("own_length", [5, 8, 32, 64])
def test_no_rule_writes_more_tokens_a_step_than_its_name_says(
    pair: Pair, max_tokens: int, own_length: int
) -> None:
    for rule in (*(fixed(k) for k in (1, 2, 4, 8)), blocks(fixed(1), 32), blocks(fixed(4), 32)):
        options = {"block_length": own_length, **rule.diffusion(max_tokens, own_length)}
        assert options.get("steps", 0) <= max_tokens
        decoding = DecodingParams(**options)
        request = Request("x", (1, 2, 3), max_tokens, decoding=decoding, ignore_eos=True)
        stats = run(engine_of(pair), [request])["x"].last.stats
        assert stats is not None
        assert stats.completion_tokens == max_tokens
        assert stats.tokens_per_forward <= rule.per_step
        shares = _shares(options, max_tokens)
        assert all(tokens <= rule.per_step * steps for tokens, steps in shares)


def _shares(options: dict[str, Any], max_tokens: int) -> list[tuple[int, int]]:
    """Tokens of each block and its steps."""
    length = options["block_length"]
    tokens = [min(length, max_tokens - first) for first in range(0, max_tokens, length)]
    total = options.get("steps")
    n = len(tokens)
    steps = tokens if total is None else [steps_of_block(total, b, n) for b in range(n)]
    return list(zip(tokens, steps, strict=True))


def test_a_model_of_steps_of_its_own_takes_one_a_step_where_that_is_the_rule() -> None:
    partner = Offline("builtin:tiny", rows=1)
    own = replace(partner.llm.defaults.decoding, strategy=StrategyName.FIXED, steps=3)
    partner.llm.defaults = replace(partner.llm.defaults, decoding=own)
    assert partner.decoding(fixed(1), 96)["steps"] is None
    assert partner.decoding(DEFAULT, 96)["steps"] == 3


def test_what_a_rule_comes_to_is_known_with_the_models_defaults() -> None:
    partner = Offline("builtin:tiny", rows=1)
    own = partner.llm.defaults.decoding
    found = partner.decoding(threshold(0.7), 96)
    assert found == asdict(replace(own, strategy=StrategyName.THRESHOLD, threshold=0.7))
    assert partner.decoding(DEFAULT, 96) == asdict(own)
    assert partner.decoding(fixed(2), 96)["steps"] == 48
    served = Served("http://x", rows=1, transport=server("dfastllm", []))
    assert served.decoding(threshold(0.7), 96) == {"strategy": "threshold", "threshold": 0.7}


def test_another_server_is_asked_by_its_own_rule_only() -> None:
    seen: list[dict[str, Any]] = []
    partner = Served("http://x/v1", rows=1, transport=server("somebody", seen))
    assert partner.answer([QUESTION], DEFAULT, 96) == [Answer("75", 3, 0, ended=True)]
    assert "diffusion" not in seen[0]
    with pytest.raises(InvalidRequest):
        partner.answer([QUESTION], threshold(0.9), 96)


def test_a_refusal_of_the_server_carries_its_words() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "m", "owned_by": "dfastllm"}]})
        return httpx.Response(400, json={"error": {"message": "no verifier"}})

    partner = Served("http://x", rows=1, transport=httpx.MockTransport(refuse))
    with pytest.raises(InvalidRequest, match="no verifier"):
        partner.answer([QUESTION], apd(0.5), 96)


def test_an_unknown_field_of_a_rule_is_refused_and_never_dropped() -> None:
    partner = Offline("builtin:tiny", rows=1)
    with pytest.raises(InvalidRequest, match="does not know"):
        partner.answer([QUESTION], Rule("odd", {"no_such_field": 1}), 96)
    (answer,) = partner.answer([QUESTION], threshold(0.9), 96)
    assert "75" in answer.text
    assert answer.ended
    assert 0 < answer.forwards < answer.tokens


def test_a_preset_is_asked_for_by_its_name() -> None:
    seen: list[dict[str, Any]] = []
    partner = Served("http://x", rows=1, transport=server("dfastllm", seen))
    partner.answer([QUESTION], preset(PresetName.FAST), 96)
    assert seen[0]["diffusion"] == {"preset": "fast"}
    (answer,) = Offline("builtin:tiny", rows=1).answer([QUESTION], preset(PresetName.QUALITY), 96)
    assert answer.forwards == answer.tokens, "the small model's own is one token a step"


def test_rules_of_a_grid_have_names_of_their_own() -> None:
    for grid in GRIDS.values():
        assert len({rule.name for rule in grid}) == len(grid)
    assert rules_of("full", ["fixed 4", "apd 0.5"]) == [fixed(4), apd(0.5)]


def test_a_rule_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no 'fixed four'; there are .*fixed 4"):
        rules_of("full", ["fixed 1", "fixed four"])


def test_a_cached_rule_differs_in_its_cache_alone() -> None:
    rule = cached(fixed(2), CacheKind.DUAL)
    assert rule.diffusion(96) == {"strategy": "fixed", "steps": 48, "cache": CacheKind.DUAL}
    assert (rule.name, rule.cache, fixed(2).cache) == ("fixed 2 dual cache", "dual", None)
    assert cached(fixed(2), CacheKind.NONE).name == "fixed 2 no cache"
