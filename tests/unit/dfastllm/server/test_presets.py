"""`diffusion.preset` over HTTP: what it stands for, what goes before it, what is refused."""

from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from starlette.testclient import TestClient

from dfastllm.core import CacheKind, DecodingParams, StrategyName
from dfastllm.presets import GENERIC, Preset, PresetName
from dfastllm.server.context import DecodingLimits
from support.scripted import ScriptedGenerator, bare_app, scripted_app, server_context

TEXT = {"model": "tiny", "prompt": "hi", "max_tokens": 64}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
APD = Preset(StrategyName.APD, r=0.25, window=8, lookahead=16)
OWN = {**GENERIC, PresetName.FAST: APD}


def ask(options: Any, engine: ScriptedGenerator | None = None, **context: Any) -> Any:
    app = bare_app(server_context(engine or ScriptedGenerator(), **context))
    return TestClient(app).post("/v1/completions", json=TEXT | {"diffusion": options})


def decoding(options: Any, **context: Any) -> DecodingParams:
    engine = ScriptedGenerator()
    response = ask(options, engine, **context)
    assert response.status_code == 200, response.text
    return engine.requests[0].decoding


def refusal(options: Any, **context: Any) -> dict[str, Any]:
    response = ask(options, **context)
    assert response.status_code == 400, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quality", DecodingParams(StrategyName.FIXED)),
        ("balanced", DecodingParams(StrategyName.THRESHOLD, threshold=0.9)),
        ("fast", DecodingParams(StrategyName.THRESHOLD, threshold=0.7)),
    ],
)
def test_a_model_without_presets_has_the_generic_ones(name: str, expected: DecodingParams) -> None:
    assert decoding({"preset": name}) == expected


def test_a_preset_means_what_the_model_says() -> None:
    assert decoding({"preset": "fast"}, presets=OWN, verifies=True) == DecodingParams(
        StrategyName.APD, r=0.25, window=8, lookahead=16
    )


def test_what_the_server_sets_for_another_rule_does_not_stand_in_the_way() -> None:
    defaults = DecodingParams(threshold=0.8, block_length=16, cache=CacheKind.DUAL)
    used = decoding({"preset": "fast"}, defaults=defaults, presets=OWN, verifies=True)
    assert (used.strategy, used.cache, used.r) == (StrategyName.APD, CacheKind.NONE, 0.25)


def test_fields_beside_a_preset_go_first() -> None:
    assert decoding({"preset": "fast", "threshold": 0.5}).threshold == 0.5
    used = decoding({"preset": "fast", "r": 0.75}, presets=OWN, verifies=True)
    assert (used.r, used.window) == (0.75, 8)
    assert decoding({"preset": "quality", "steps": 8}).steps == 8


def test_a_strategy_beside_a_preset_leaves_the_parameters_of_other_rules_out() -> None:
    presets = {**OWN, PresetName.BALANCED: Preset(block_length=16, cache=CacheKind.DUAL)}
    used = decoding({"preset": "fast", "strategy": "fixed", "steps": 16}, presets=presets)
    assert used == DecodingParams(StrategyName.FIXED, steps=16, lookahead=16)
    used = decoding({"preset": "balanced", "strategy": "apd"}, presets=presets, verifies=True)
    assert used == DecodingParams(StrategyName.APD)


def test_null_is_no_preset() -> None:
    assert decoding({"preset": None}, presets=OWN) == DecodingParams()


@pytest.mark.parametrize("name", ["turbo", "Fast", "", 1, ["fast"]])
def test_an_unknown_preset_is_refused_with_the_names_there_are(name: Any) -> None:
    error = refusal({"preset": name})
    assert error["param"] == "diffusion.preset"
    assert all(f"'{known}'" in error["message"] for known in PresetName)


@pytest.mark.parametrize(
    ("options", "by_name", "context"),
    [
        ({"preset": "fast"}, {"strategy": "apd"}, {}),
        (
            {"preset": "fast", "threshold": 0.9},
            {"strategy": "apd", "threshold": 0.9},
            {"verifies": True},
        ),
        (
            {"preset": "fast", "block_length": 8},
            {"strategy": "apd", "block_length": 8},
            {"verifies": True},
        ),
        ({"preset": "quality", "threshold": 0.9}, {"strategy": "fixed", "threshold": 0.9}, {}),
        (
            {"preset": "quality"},
            {"strategy": "fixed"},
            {"limits": DecodingLimits(strategies=(StrategyName.THRESHOLD,))},
        ),
        (
            {"preset": "fast"},
            {"strategy": "apd", "r": 0.25},
            {"verifies": True, "limits": DecodingLimits(max_r=0.2)},
        ),
        (
            {"preset": "balanced"},
            {"threshold": 0.9},
            {"limits": replace(DecodingLimits(), min_threshold=0.95)},
        ),
    ],
)
def test_a_preset_is_refused_as_its_parameters_are_and_says_what_it_is(
    options: dict[str, Any], by_name: dict[str, Any], context: dict[str, Any]
) -> None:
    error, same = (refusal(asked, presets=OWN, **context) for asked in (options, by_name))
    name = options["preset"]
    meaning = f"; the preset '{name}' is: {OWN[PresetName(name)]}."
    assert error == same | {"message": same["message"].removesuffix(".") + meaning}


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_report_names_the_preset_that_was_asked_for(path: str, stream: bool) -> None:
    client = TestClient(bare_app(server_context(ScriptedGenerator())))
    body = (CHAT if "chat" in path else TEXT) | {"stream": stream}
    for asked in ({"preset": "fast"}, {}):
        answer = client.post(path, json=body | {"diffusion": asked}).text
        assert '"strategy":"threshold"' in answer
        assert ('"preset":"fast"' in answer) is bool(asked)


def test_the_openapi_document_knows_presets() -> None:
    document = scripted_app().openapi()
    operation = document["paths"]["/v1/completions"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]
    assert "'fast'" in str(asked["properties"]["diffusion"]["properties"]["preset"])
    answer = ask({"preset": "fast"}).json()
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(schema | {"components": document["components"]}, answer)
