"""The `diffusion` object of a request against defaults and limits."""

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName
from dfastllm.server.context import DecodingLimits
from support.scripted import ScriptedGenerator, bare_app, server_context

TEXT = {"model": "tiny", "prompt": "hi", "max_tokens": 64}


def ask(options: Any, engine: ScriptedGenerator | None = None, **context: Any) -> Any:
    app = bare_app(server_context(engine or ScriptedGenerator(), **context))
    return TestClient(app).post("/v1/completions", json=TEXT | {"diffusion": options})


def decoding(options: Any, **context: Any) -> DecodingParams:
    engine = ScriptedGenerator()
    response = ask(options, engine, **context)
    assert response.status_code == 200, response.text
    params = engine.requests[0].decoding
    assert response.json()["diffusion"]["strategy"] == params.strategy.value
    return params


def test_without_options_the_defaults_hold() -> None:
    defaults = DecodingParams(strategy=StrategyName.FACTOR, factor=2.0, cache=CacheKind.DUAL)
    assert decoding({}, defaults=defaults) == defaults


@pytest.mark.parametrize(
    ("options", "strategy"),
    [
        ({"steps": 8}, "fixed"),
        ({"remasking": "entropy"}, "fixed"),
        ({"steps": 8, "remasking": "random"}, "fixed"),
        ({"threshold": 0.5}, "threshold"),
        ({"factor": 2}, "factor"),
        ({"strategy": "fixed"}, "fixed"),
    ],
)
def test_a_parameter_implies_its_strategy(options: dict[str, Any], strategy: str) -> None:
    assert decoding(options).strategy == strategy


def test_all_options_arrive() -> None:
    options = {"strategy": "fixed", "steps": 16, "block_length": 16, "cache": "prefix"}
    options |= {"remasking": "topk_margin", "cfg_scale": 0}
    assert decoding(options) == DecodingParams(
        strategy=StrategyName.FIXED,
        steps=16,
        block_length=16,
        cache=CacheKind.PREFIX,
        remasking=Remasking.TOPK_MARGIN,
    )


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"strategy": "threshold", "steps": 8}, "steps"),
        ({"strategy": "threshold", "remasking": "random"}, "remasking"),
        ({"strategy": "fixed", "threshold": 0.9}, "threshold"),
        ({"strategy": "threshold", "factor": 1}, "factor"),
        ({"steps": 8, "threshold": 0.9}, "threshold"),
        ({"threshold": 0.9, "factor": 1}, "factor"),
        ({"strategy": "magic"}, "strategy"),
        ({"strategy": 1}, "strategy"),
        ({"steps": 0}, "steps"),
        ({"steps": 1}, "steps"),  # two blocks of 32
        ({"steps": 65}, "steps"),
        ({"steps": 8.5}, "steps"),
        ({"steps": True}, "steps"),
        ({"block_length": 0}, "block_length"),
        ({"block_length": 257}, "block_length"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1.1}, "threshold"),
        ({"threshold": "0.9"}, "threshold"),
        ({"factor": 0}, "factor"),
        ({"cache": "all"}, "cache"),
        ({"remasking": "worst"}, "remasking"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": 31}, "timeout_s"),
        ({"stream_canvas": True}, "stream_canvas"),
        ({"stream_canvas": 1}, "stream_canvas"),
        ({"cfg_scale": 1.5}, "cfg_scale"),
        ({"nfe": 3}, "nfe"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, Any], param: str) -> None:
    response = ask(options, timeout_s=30.0)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == f"diffusion.{param}"


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({"strategy": "fixed"}, {"strategies": (StrategyName.THRESHOLD,)}),
        ({"steps": 8}, {"strategies": (StrategyName.THRESHOLD,)}),
        ({"cache": "dual"}, {"caches": (CacheKind.NONE,)}),
        ({"steps": 8}, {"max_steps": 4}),
        ({"threshold": 0.2}, {"min_threshold": 0.5}),
        ({"block_length": 64}, {"max_block_length": 32}),
    ],
)
def test_the_server_sets_limits(options: dict[str, Any], limits: dict[str, Any]) -> None:
    assert ask(options, limits=replace(DecodingLimits(), **limits)).status_code == 400


def test_adaptive_parallel_decoding_takes_its_weight_window_and_look_ahead() -> None:
    options = {"strategy": "apd", "r": 0.25, "window": 16, "lookahead": 64, "cache": "none"}
    assert decoding(options, verifies=True) == DecodingParams(
        strategy=StrategyName.APD, r=0.25, window=16, lookahead=64
    )
    assert decoding({"r": 1}, verifies=True).strategy is StrategyName.APD
    assert decoding({"window": 0}, verifies=True).strategy is StrategyName.APD


def test_defaults_of_the_server_hold_beside_apd_but_for_its_cache() -> None:
    defaults = DecodingParams(cache=CacheKind.DUAL, lookahead=32, r=0.7, window=8)
    assert decoding({"strategy": "apd"}, defaults=defaults, verifies=True) == replace(
        defaults, strategy=StrategyName.APD, cache=CacheKind.NONE
    )


def test_the_look_ahead_is_any_rules() -> None:
    assert decoding({"lookahead": 0}) == DecodingParams(lookahead=0)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"strategy": "apd", "threshold": 0.9}, "threshold"),
        ({"strategy": "apd", "factor": 1}, "factor"),
        ({"strategy": "apd", "steps": 64}, "steps"),
        ({"strategy": "apd", "remasking": "entropy"}, "remasking"),
        ({"strategy": "apd", "block_length": 32}, "block_length"),
        ({"strategy": "apd", "cache": "prefix"}, "cache"),
        ({"strategy": "apd", "cache": "dual"}, "cache"),
        ({"strategy": "apd", "lookahead": 0}, "lookahead"),
        ({"strategy": "apd", "r": 1.1}, "r"),
        ({"strategy": "apd", "r": -0.1}, "r"),
        ({"strategy": "apd", "r": "0.5"}, "r"),
        ({"strategy": "apd", "window": -1}, "window"),
        ({"strategy": "apd", "window": 1.5}, "window"),
        ({"strategy": "fixed", "r": 0.5}, "r"),
        ({"strategy": "threshold", "window": 4}, "window"),
        ({"threshold": 0.9, "r": 0.5}, "r"),
    ],
)
def test_what_does_not_go_with_apd_is_named(options: dict[str, Any], param: str) -> None:
    response = ask(options, verifies=True)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == f"diffusion.{param}"


@pytest.mark.parametrize("options", [{"strategy": "apd"}, {"r": 0.5}, {"window": 4}])
def test_apd_without_a_verifier_is_refused_and_never_another_rule(options: dict[str, Any]) -> None:
    response = ask(options)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "diffusion.strategy"
    assert "verifier" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({"r": 0.9}, {"max_r": 0.8}),
        ({"window": 17}, {"max_window": 16}),
        ({"lookahead": 65}, {"max_lookahead": 64}),
        ({"strategy": "apd"}, {"strategies": (StrategyName.THRESHOLD,)}),
    ],
)
def test_the_server_sets_limits_of_apd(options: dict[str, Any], limits: dict[str, Any]) -> None:
    limited = replace(DecodingLimits(), **limits)
    assert ask(options, limits=limited, verifies=True).status_code == 400


def test_default_steps_are_fitted_to_the_answer() -> None:
    few = DecodingParams(strategy=StrategyName.FIXED, steps=1)
    assert decoding({}, defaults=few).steps == 2
    many = DecodingParams(strategy=StrategyName.FIXED, steps=1000)
    assert decoding({}, defaults=many).steps == 64


@pytest.mark.parametrize(
    ("asked", "cap", "deadline"), [(None, None, None), (None, 9.0, 9.0), (4, None, 4), (4, 9.0, 4)]
)
def test_the_deadline_is_the_request_s_or_the_server_s(
    asked: float | None, cap: float | None, deadline: float | None
) -> None:
    engine = ScriptedGenerator()
    ask({"timeout_s": asked}, engine, timeout_s=cap)
    assert engine.requests[0].deadline_s == deadline
