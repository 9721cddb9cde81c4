"""Every parameter of the OpenAI API that both routes have is honoured or refused by name."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from support.scripted import MASK, VOCABULARY, ScriptedGenerator, bare_app, server_context

CHAT: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
TEXT: dict[str, Any] = {"model": "tiny", "prompt": "hi"}
ROUTES: dict[str, dict[str, Any]] = {"chat/completions": CHAT, "completions": TEXT}


@pytest.fixture(name="engine")
def _engine() -> ScriptedGenerator:
    return ScriptedGenerator()


@pytest.fixture(name="client")
def _client(engine: ScriptedGenerator) -> TestClient:
    return TestClient(bare_app(server_context(engine, timeout_s=60.0)))


def refusal(response: Any) -> dict[str, Any]:
    assert response.status_code == 400, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error


BAD_VALUES = [
    ("temperature", -0.1),
    ("temperature", 2.1),
    ("temperature", "0.5"),
    ("temperature", True),
    ("top_p", 0),
    ("top_p", 1.01),
    ("top_k", -2),
    ("top_k", 1.5),
    ("n", 0),
    ("n", 17),
    ("n", True),
    ("n", "2"),
    ("n", 10**30),
    ("max_tokens", -1),
    ("max_tokens", 0),
    ("max_tokens", 1.5),
    ("max_tokens", 2**70),
    ("max_completion_tokens", 0),
    ("max_completion_tokens", -5),
    ("stop", ""),
    ("stop", ["a", ""]),
    ("stop", [1]),
    ("stop", 5),
    ("stop", ["x"] * 17),
    ("stop", "x" * 2000),
    ("seed", 2**63),
    ("seed", 1.5),
    ("seed", "1"),
    ("stream", "true"),
    ("stream", 1),
    ("stream_options", {"include_usage": True}),
    ("logit_bias", {"1": 101}),
    ("logit_bias", {"1": "5"}),
    ("logit_bias", {"x": 1}),
    ("logit_bias", {"-1": 1}),
    ("logit_bias", {str(VOCABULARY): 1}),
    ("logit_bias", {str(MASK): 1}),
    ("logit_bias", {"9" * 5000: 1}),
    ("logit_bias", [1]),
    ("priority", -1),
    ("priority", "high"),
    ("ignore_eos", 1),
    ("skip_special_tokens", "no"),
    ("return_token_ids", 0),
    ("diffusion", []),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_a_wrong_value_is_refused_by_name(
    client: TestClient, route: str, name: str, value: Any
) -> None:
    error = refusal(client.post(f"/v1/{route}", json=ROUTES[route] | {name: value}))
    assert error["param"].split(".")[0] == name


UNSUPPORTED = [
    ("presence_penalty", 0.5, 0),
    ("presence_penalty", False, 0.0),
    ("frequency_penalty", -1, 0),
    ("repetition_penalty", 1.1, 1),
    ("length_penalty", 2.0, 1.0),
    ("min_p", 0.1, 0.0),
    ("min_tokens", 1, 0),
    ("best_of", 3, 1),
    ("use_beam_search", True, False),
    ("stop_token_ids", [5], []),
    ("bad_words", ["x"], []),
    ("allowed_token_ids", [1], []),
    ("logits_processors", ["x"], []),
    ("prompt_logprobs", 1, None),
    ("prompt_embeds", "AAAA", None),
    ("truncate_prompt_tokens", 5, None),
    ("include_stop_str_in_output", True, False),
    ("response_format", {"type": "json_object"}, {"type": "text"}),
    ("response_format", {"type": "json_schema", "json_schema": {}}, None),
    ("structured_outputs", {"regex": "a"}, {}),
    ("guided_json", {"type": "object"}, None),
    ("guided_regex", "a+", None),
    ("guided_choice", ["a"], []),
    ("guided_grammar", "root", None),
    ("vllm_xargs", {"diffusion_max_steps": 3}, {}),
    ("tools", [{"type": "function", "function": {"name": "f"}}], []),
    ("tool_choice", "required", "auto"),
    ("functions", [{"name": "f"}], []),
    ("function_call", {"name": "f"}, "none"),
]
UNSUPPORTED_CHAT: list[tuple[str, Any, Any]] = [
    ("audio", {"voice": "x"}, None),
    ("modalities", ["text", "audio"], ["text"]),
    ("web_search_options", {}, None),
    ("add_generation_prompt", False, True),
    ("continue_final_message", True, False),
    ("chat_template", "{{ x }}", None),
    ("chat_template_kwargs", {"thinking": True}, {}),
    ("documents", [{"text": "x"}], []),
    ("suffix", "x", None),
    ("echo", True, False),
    ("prompt", "x", None),
]
UNSUPPORTED_COMPLETIONS = [
    ("top_logprobs", 2, 0),
    ("messages", [], None),
]
_CASES = [
    *((route, *case) for route in ROUTES for case in UNSUPPORTED),
    *(("chat/completions", *case) for case in UNSUPPORTED_CHAT),
    *(("completions", *case) for case in UNSUPPORTED_COMPLETIONS),
]


@pytest.mark.parametrize(("route", "name", "value", "neutral"), _CASES)
def test_what_we_lack_is_refused_unless_it_asks_for_nothing(
    client: TestClient, route: str, name: str, value: Any, neutral: Any
) -> None:
    error = refusal(client.post(f"/v1/{route}", json=ROUTES[route] | {name: value}))
    assert (error["param"], error["code"]) == (name, "unsupported_parameter")
    accepted = client.post(f"/v1/{route}", json=ROUTES[route] | {name: neutral})
    assert accepted.status_code == 200, accepted.text
    assert "x-dfastllm-ignored" not in accepted.headers


def test_tools_are_accepted_when_none_may_be_called(client: TestClient) -> None:
    body = CHAT | {"tools": [{"type": "function"}], "tool_choice": "none"}
    assert client.post("/v1/chat/completions", json=body).status_code == 200


IGNORED = {
    "user": "u",
    "metadata": {"a": "b"},
    "store": True,
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "service_tier": "auto",
    "verbosity": "low",
    "reasoning_effort": "low",
    "prediction": {"type": "content", "content": "x"},
    "parallel_tool_calls": True,
    "no_such_parameter": 1,
}


@pytest.mark.parametrize("route", ROUTES)
def test_what_has_no_effect_is_accepted_and_listed(client: TestClient, route: str) -> None:
    response = client.post(f"/v1/{route}", json=ROUTES[route] | IGNORED)
    assert response.status_code == 200, response.text
    assert response.headers["x-dfastllm-ignored"].split(", ") == list(IGNORED)


def test_ignored_names_are_sanitised_and_bounded(client: TestClient) -> None:
    names = {"a\r\nset-cookie: x": 1, "é": 1, "": 1, "z" * 5000: 1} | {
        f"k{i}": 1 for i in range(99)
    }
    listed = client.post("/v1/completions", json=TEXT | names).headers["x-dfastllm-ignored"]
    assert listed.startswith("a??set-cookie??x, ?, ?, zzz")
    assert listed.endswith(", +87")
    assert len(listed) < 500


@pytest.mark.parametrize("route", ROUTES)
def test_null_is_as_if_left_out(client: TestClient, route: str) -> None:
    names = {name for name, *_ in BAD_VALUES} | {name for name, *_ in UNSUPPORTED} | set(IGNORED)
    names |= {"logprobs", "top_logprobs", "suffix", "echo", "best_of", "audio", "messages"}
    body: dict[str, Any] = dict.fromkeys(names) | ROUTES[route]
    response = client.post(f"/v1/{route}", json=body)
    assert response.status_code == 200, response.text
    assert "x-dfastllm-ignored" not in response.headers


def test_what_langchain_writes_out_is_accepted(client: TestClient) -> None:
    body = TEXT | {
        "temperature": 0.7,
        "top_p": 1,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "n": 1,
        "best_of": 1,
        "logit_bias": {},
        "logprobs": None,
        "seed": None,
        "suffix": None,
        "stop": [],
    }
    assert client.post("/v1/completions", json=body).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_sampling_reaches_the_engine(
    client: TestClient, engine: ScriptedGenerator, route: str
) -> None:
    asked = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "seed": 11,
        "logit_bias": {"65": -100, "66": 2.5},
        "max_tokens": 33,
        "stop": "END",
        "priority": 4,
        "ignore_eos": True,
        "skip_special_tokens": False,
        "diffusion": {"timeout_s": 5, "cache": "dual", "block_length": 8, "threshold": 0.5},
    }
    assert client.post(f"/v1/{route}", json=ROUTES[route] | asked).status_code == 200
    (request,) = engine.requests
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 7)
    assert (sampling.seed, sampling.logit_bias) == (11, ((65, -100.0), (66, 2.5)))
    assert (request.max_tokens, request.stop, request.priority) == (33, ("END",), 4)
    assert (request.ignore_eos, request.skip_special_tokens) == (True, False)
    assert (request.deadline_s, request.key) == (5, "testclient")
    assert request.decoding.lookahead is None


def test_top_k_minus_one_filters_nothing(client: TestClient, engine: ScriptedGenerator) -> None:
    client.post("/v1/completions", json=TEXT | {"top_k": -1})
    assert engine.requests[0].sampling.top_k == 0


@pytest.mark.parametrize("route", ROUTES)
def test_max_completion_tokens_wins(
    client: TestClient, engine: ScriptedGenerator, route: str
) -> None:
    body = ROUTES[route] | {"max_tokens": 50, "max_completion_tokens": 20}
    assert client.post(f"/v1/{route}", json=body).status_code == 200
    assert engine.requests[0].max_tokens == 20


def test_a_whole_number_may_be_written_as_a_fraction(
    client: TestClient, engine: ScriptedGenerator
) -> None:
    assert client.post("/v1/completions", json=TEXT | {"max_tokens": 20.0}).status_code == 200
    assert engine.requests[0].max_tokens == 20


def test_a_missing_model_is_400_and_an_unknown_one_404(client: TestClient) -> None:
    assert refusal(client.post("/v1/completions", json={"prompt": "x"}))["param"] == "model"
    assert refusal(client.post("/v1/completions", json=TEXT | {"model": None}))["param"] == "model"
    assert refusal(client.post("/v1/completions", json=TEXT | {"model": 5}))["param"] == "model"
    response = client.post("/v1/completions", json=TEXT | {"model": "gpt-4"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert response.json()["error"]["param"] == "model"


def test_a_null_inside_our_own_objects_is_as_if_left_out(client: TestClient) -> None:
    body = TEXT | {
        "stream": True,
        "stream_options": {"include_usage": None, "include_obfuscation": False},
        "diffusion": {"steps": None, "strategy": None, "no_such": None},
    }
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200
    assert response.headers["x-dfastllm-ignored"] == "stream_options.include_obfuscation"


def test_usage_in_every_chunk_is_refused(client: TestClient) -> None:
    body = TEXT | {"stream": True, "stream_options": {"continuous_usage_stats": True}}
    error = refusal(client.post("/v1/completions", json=body))
    assert error["param"] == "stream_options.continuous_usage_stats"
