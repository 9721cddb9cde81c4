"""A server is asked with our rules, or with none where it knows none."""

import json
from typing import Any

import httpx
import pytest

from benchmarks.quality_partners import Answer, Offline, Served
from benchmarks.quality_rules import (
    DEFAULT,
    GRIDS,
    Rule,
    apd,
    cached,
    fixed,
    preset,
    rules_of,
    threshold,
)
from benchmarks.quality_suites import Question
from dfastllm.core import CacheKind
from dfastllm.errors import InvalidRequest
from dfastllm.presets import PresetName

QUESTION = Question("x", [{"role": "user", "content": "What is 27 + 48?"}])


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
    transport = server("dfastllm", seen, diffusion=report)
    partner = Served("http://x", rows=2, transport=transport)
    answers = partner.answer([QUESTION] * 3, fixed(4), 96)
    assert answers == [Answer("75", 3, 2, True, 1, 9, 3)] * 3
    assert [body["diffusion"] for body in seen] == [{"strategy": "fixed", "steps": 24}] * 3
    assert seen[0]["messages"] == QUESTION.messages


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
