"""What a preset is, and that of five levels the first that says a value wins."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName
from dfastllm.models.generation_defaults import read_generation_defaults
from dfastllm.presets import GENERIC, PRESET_KEYS, Preset, PresetName
from dfastllm.settings_decoding import DecodingSection
from support.scripted import ScriptedGenerator, bare_app, server_context

RULES = {
    "fixed": {"remasking", "block_length", "cache", "lookahead"},
    "threshold": {"threshold", "block_length", "cache", "lookahead"},
    "factor": {"factor", "block_length", "cache", "lookahead"},
    "apd": {"r", "window", "lookahead"},
}
"""Which parameters each rule has a use for."""

OWNERS = {"remasking": "fixed", "threshold": "threshold", "factor": "factor", "r": "apd"}
OWNERS |= {"window": "apd"}

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "threshold": st.sampled_from([0.6, 0.7, 0.8, 0.9]),
    "factor": st.sampled_from([0.5, 1.0, 2.0]),
    "block_length": st.sampled_from([8, 16, 32]),
    "cache": st.sampled_from(["none", "prefix", "dual"]),
    "remasking": st.sampled_from([str(kind) for kind in Remasking]),
    "lookahead": st.sampled_from([16, 32, 64]),
    "r": st.sampled_from([0.25, 0.5, 0.75]),
    "window": st.sampled_from([0, 4, 8]),
}


@st.composite
def parts(draw: st.DrawFn, *, one_rule: bool = False) -> dict[str, Any]:
    """Some parameters, perhaps a strategy; of one rule's if that is asked for."""
    strategy = draw(st.sampled_from(sorted(RULES)))
    usable = sorted(RULES[strategy] if one_rule else VALUES)
    said = {name: draw(VALUES[name]) for name in draw(st.sets(st.sampled_from(usable)))}
    return ({"strategy": strategy} if draw(st.booleans()) else {}) | said


def rule_of(part: dict[str, Any]) -> str | None:
    """The strategy named, else the one that a parameter implies."""
    named: str | None = part.get("strategy")
    return named or next(
        (OWNERS[name] for name in PRESET_KEYS if name in part and name in OWNERS), None
    )


def refused(request: dict[str, Any], preset: dict[str, Any], default: str) -> bool:
    rule = request.get("strategy") or rule_of(preset) or rule_of(request) or default
    wrong = {name for name in request if name != "strategy"} - RULES[rule]
    return bool(wrong - ({"cache"} if request.get("cache") == "none" else set()))


def first_of(levels: list[dict[str, Any]], name: str) -> Any:
    return next(
        level[name] for level in levels if level.get(name) is not None or level is levels[-1]
    )


presets = st.fixed_dictionaries({str(name): parts(one_rule=True) for name in PresetName})
names = st.sampled_from([str(name) for name in PresetName])


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(parts(), presets, st.none() | names, parts(), st.none() | names, parts())
def test_of_request_its_preset_server_its_preset_and_model_the_first_that_says_it_wins(
    model: dict[str, Any],
    meanings: dict[str, dict[str, Any]],
    server_preset: str | None,
    server: dict[str, Any],
    request_preset: str | None,
    request: dict[str, Any],
) -> None:
    own = read_generation_defaults({"diffusion": model | {"presets": meanings}})
    section = DecodingSection(**server)
    said = Preset(**{name: getattr(section, name) for name in PRESET_KEYS})
    defaults = own.under(None if server_preset is None else PresetName(server_preset), said)
    engine = ScriptedGenerator()
    context = server_context(
        engine, defaults=defaults.decoding, presets=defaults.presets, verifies=True
    )
    asked = request | ({} if request_preset is None else {"preset": request_preset})
    body = {"model": "tiny", "prompt": "a", "max_tokens": 64, "diffusion": asked}
    reply = TestClient(bare_app(context)).post("/v1/completions", json=body)

    preset = meanings.get(request_preset or "", {})
    below = meanings.get(server_preset or "", {})
    usual = {name: getattr(read_generation_defaults({}).decoding, name) for name in PRESET_KEYS}
    default = server.get("strategy") or rule_of(below) or model.get("strategy") or "threshold"
    assert reply.status_code == (400 if refused(request, preset, default) else 200), asked
    if reply.status_code == 400:
        return
    rule = request.get("strategy") or rule_of(preset) or rule_of(request) or default
    used = engine.requests[0].decoding
    assert used.strategy == rule
    levels = [request, preset, server, below, model, usual]
    for name in RULES[rule]:
        assert getattr(used, name) == first_of(levels, name), name
    assert used.cache is CacheKind.NONE or rule != "apd"


def test_the_generic_ones_need_no_verifier_and_are_there_under_every_name() -> None:
    assert set(GENERIC) == set(PresetName)
    assert GENERIC[PresetName.QUALITY] == Preset(StrategyName.FIXED)
    assert GENERIC[PresetName.BALANCED] == Preset(StrategyName.THRESHOLD, threshold=0.9)
    assert GENERIC[PresetName.FAST] == Preset(StrategyName.THRESHOLD, threshold=0.7)


def test_a_preset_changes_what_it_says_and_nothing_else() -> None:
    below = DecodingParams(block_length=16, cache=CacheKind.DUAL, window=8)
    over = Preset(StrategyName.APD, r=0.0).over(below)
    assert over == DecodingParams(
        StrategyName.APD, block_length=16, cache=CacheKind.DUAL, r=0.0, window=8
    )
    assert Preset().over(below) == below


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        (Preset(), "the default"),
        (Preset(StrategyName.APD, r=0.5, window=0), "strategy apd, r 0.5, window 0"),
    ],
)
def test_a_preset_can_be_told_in_words(preset: Preset, words: str) -> None:
    assert str(preset) == words
