"""Whatever is sent: an answer or an error of our form, and nothing known is dropped."""

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

from dfastllm.core import StrategyName
from dfastllm.server.parameters import CHAT, COMPLETIONS
from dfastllm.server.protocol import ChatCompletionRequest, CompletionRequest, DiffusionOptions
from support.scripted import ScriptedGenerator, bare_app, server_context

_engine = ScriptedGenerator()
_client = TestClient(bare_app(server_context(_engine, timeout_s=60.0)))

quick = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-2, 40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, -1, 0.0, 1.0, 0.5, 2**63, -(2**63), 1e308]),
)
plain = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8))
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
known_names = st.sampled_from(
    sorted(
        {*CHAT, *COMPLETIONS, *ChatCompletionRequest.model_fields, *CompletionRequest.model_fields}
    )
)
bodies = st.dictionaries(known_names | st.text(max_size=12), values, max_size=5)
ROUTES: dict[str, dict[str, Any]] = {
    "chat/completions": {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]},
    "completions": {"model": "tiny", "prompt": "hi"},
}


def check(response: Any, status_codes: tuple[int, ...] = (200, 400, 404)) -> None:
    assert response.status_code in status_codes, response.text
    if response.status_code == 200:
        return
    error = response.json()["error"]
    assert set(response.json()) == {"error"}
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["type"] == "invalid_request_error"


@quick
@given(st.sampled_from(sorted(ROUTES)), bodies, st.booleans())
def test_any_body_gets_an_answer_or_an_error_of_our_form(
    route: str, body: dict[str, Any], complete: bool
) -> None:
    _engine.streams.clear()
    check(_client.post(f"/v1/{route}", json=ROUTES[route] | body if complete else body))


@quick
@given(st.sampled_from(sorted(ROUTES)), st.binary(max_size=64))
def test_any_bytes_get_an_error_of_our_form(route: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    check(_client.post(f"/v1/{route}", content=body, headers=headers), (400, 404))


@quick
@given(st.sampled_from(sorted(ROUTES)), st.text(max_size=30), values)
def test_any_document_gets_an_answer_or_an_error(route: str, name: str, value: Any) -> None:
    for document in (value, {"messages": value}, {"prompt": value}, {"diffusion": {name: value}}):
        whole = ROUTES[route] | document if isinstance(document, dict) else document
        body = json.dumps(whole).encode()
        headers = {"content-type": "application/json"}
        check(_client.post(f"/v1/{route}", content=body, headers=headers))


@quick
@given(st.sampled_from(sorted(ROUTES)), known_names | st.text(min_size=1, max_size=12), values)
def test_an_accepted_parameter_is_honoured_neutral_or_listed(
    route: str, name: str, value: Any
) -> None:
    body = ROUTES[route] | {name: value}
    response = _client.post(f"/v1/{route}", json=body)
    check(response)
    if response.status_code != 200 or value is None:
        return
    kind, refused = (
        (ChatCompletionRequest, CHAT)
        if route == "chat/completions"
        else (CompletionRequest, COMPLETIONS)
    )
    honoured = name in kind.model_fields
    neutral = name in refused and refused[name](value, body)
    listed = "x-dfastllm-ignored" in response.headers
    assert honoured or neutral or listed
    if listed:
        assert not honoured or name in ("messages", "stream_options")
        assert len(response.headers["x-dfastllm-ignored"]) < 1200


options = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from([*StrategyName]).map(str),
        "steps": st.integers(0, 70),
        "block_length": st.integers(0, 70),
        "threshold": st.floats(-0.1, 1.1),
        "factor": st.floats(-0.1, 3),
        "remasking": st.sampled_from(["low_confidence", "random", "topk_margin", "entropy"]),
        "cache": st.sampled_from(["none", "prefix", "dual"]),
        "timeout_s": st.floats(-1, 61),
        "cfg_scale": st.sampled_from([0, 0.0, 1]),
    },
)


@quick
@given(options, st.integers(1, 70))
def test_accepted_diffusion_options_are_the_engine_s(
    asked: dict[str, Any], max_tokens: int
) -> None:
    _engine.streams.clear()
    body = ROUTES["completions"] | {"diffusion": asked, "max_tokens": max_tokens}
    response = _client.post("/v1/completions", json=body)
    check(response)
    if response.status_code != 200:
        return
    (request,) = _engine.requests
    decoding = request.decoding
    for name, value in asked.items():
        if name == "timeout_s":
            assert request.deadline_s == value
        elif name != "cfg_scale":
            assert getattr(decoding, name) == value
    if decoding.steps is not None:
        blocks = -(-max_tokens // decoding.block_length)
        assert blocks <= decoding.steps <= max_tokens
    assert set(asked) <= set(DiffusionOptions.model_fields)
