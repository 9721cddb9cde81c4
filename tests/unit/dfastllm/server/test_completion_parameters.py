"""Parameters of /v1/completions alone."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from support.scripted import BOS, MASK, VOCABULARY, ScriptedGenerator, bare_app, server_context

URL = "/v1/completions"
TEXT = {"model": "tiny", "prompt": "hi"}


@pytest.fixture(name="engine")
def _engine() -> ScriptedGenerator:
    return ScriptedGenerator()


@pytest.fixture(name="client")
def _client(engine: ScriptedGenerator) -> TestClient:
    return TestClient(bare_app(server_context(engine, max_choices=8)))


@pytest.mark.parametrize(
    ("prompt", "rows"),
    [
        ("ab", [(BOS, 97, 98)]),
        (["a", "b"], [(BOS, 97), (BOS, 98)]),
        ([97, 98], [(97, 98)]),
        ([[97], [98, 99]], [(97,), (98, 99)]),
    ],
)
def test_all_four_forms_of_a_prompt(
    client: TestClient, engine: ScriptedGenerator, prompt: Any, rows: list[tuple[int, ...]]
) -> None:
    response = client.post(URL, json=TEXT | {"prompt": prompt})
    assert response.status_code == 200, response.text
    assert [request.prompt for request in engine.requests] == rows
    assert response.json()["usage"]["prompt_tokens"] == sum(map(len, rows))
    assert engine.requests[0].max_tokens == 16


@pytest.mark.parametrize(
    "prompt",
    [
        None,
        "",
        [],
        [[]],
        [[97], []],
        ["a", 1],
        [1, True],
        [1.0],
        [[1], "a"],
        [["a"]],
        {},
        5,
        [None],
        [VOCABULARY],
        [-1],
        [MASK],
        [[97], [MASK]],
        [2**60],
    ],
)
def test_a_prompt_that_is_none_is_400(client: TestClient, prompt: Any) -> None:
    response = client.post(
        URL, json={"model": "tiny", "prompt": prompt, "add_special_tokens": False}
    )
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == "prompt"


def test_choices_come_prompt_by_prompt(client: TestClient, engine: ScriptedGenerator) -> None:
    response = client.post(URL, json=TEXT | {"prompt": ["a", "b"], "n": 2, "seed": 9})
    assert [choice["index"] for choice in response.json()["choices"]] == [0, 1, 2, 3]
    assert [request.prompt[-1] for request in engine.requests] == [97, 97, 98, 98]
    seeds = [request.sampling.seed for request in engine.requests]
    assert seeds[0] == seeds[2] == 9
    assert seeds[1] == seeds[3] != 9
    assert response.json()["usage"]["prompt_tokens"] == 4
    assert len({request.request_id for request in engine.requests}) == 4


def test_too_many_choices_are_refused(client: TestClient) -> None:
    response = client.post(URL, json=TEXT | {"prompt": ["a"] * 3, "n": 3})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "n"


def test_without_a_seed_every_answer_has_its_own(
    client: TestClient, engine: ScriptedGenerator
) -> None:
    for _ in range(2):
        client.post(URL, json=TEXT | {"n": 2})
    assert len({request.sampling.seed for request in engine.requests}) == 4


def test_a_suffix_asks_for_infilling(client: TestClient, engine: ScriptedGenerator) -> None:
    response = client.post(URL, json=TEXT | {"suffix": "yz"})
    assert engine.requests[0].suffix == (121, 122)
    assert response.json()["usage"]["prompt_tokens"] == 5


def test_a_suffix_is_refused_where_the_model_cannot(engine: ScriptedGenerator) -> None:
    client = TestClient(bare_app(server_context(engine, can_infill=False)))
    response = client.post(URL, json=TEXT | {"suffix": "yz"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "unsupported_parameter"
    assert client.post(URL, json=TEXT | {"suffix": ""}).status_code == 200


def test_echo_begins_with_the_prompt(client: TestClient) -> None:
    body = TEXT | {"prompt": ["ab", "cd"], "echo": True}
    texts = [choice["text"] for choice in client.post(URL, json=body).json()["choices"]]
    assert texts == ["abhello", "cdhello"]
    body = TEXT | {"prompt": [97, 98], "echo": True}
    assert client.post(URL, json=body).json()["choices"][0]["text"] == "abhello"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_no_tokens_only_with_echo_and_then_without_the_engine(
    client: TestClient, engine: ScriptedGenerator, name: str
) -> None:
    response = client.post(URL, json=TEXT | {"echo": True, name: 0})
    assert response.json()["choices"][0]["text"] == "hi"
    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert response.json()["usage"]["completion_tokens"] == 0
    assert engine.requests == []
    refused = client.post(URL, json=TEXT | {name: 0})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == name


def test_echo_with_logprobs_is_refused(client: TestClient) -> None:
    response = client.post(URL, json=TEXT | {"echo": True, "logprobs": 1, "max_tokens": 1})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "echo"


@pytest.mark.parametrize("value", [-1, 6, True, "1", 1.5])
def test_wrong_logprobs_are_refused(client: TestClient, value: Any) -> None:
    response = client.post(URL, json=TEXT | {"logprobs": value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "logprobs"


def test_best_of_may_not_exceed_n(client: TestClient) -> None:
    assert client.post(URL, json=TEXT | {"n": 2, "best_of": 2}).status_code == 200
    assert client.post(URL, json=TEXT | {"n": 2, "best_of": 3}).status_code == 400
    assert client.post(URL, json=TEXT | {"n": "x", "best_of": "y"}).status_code == 400


@pytest.mark.parametrize(
    "asked", [{"prompt": "x" * 600}, {"max_tokens": 600}, {"suffix": "x" * 500}]
)
def test_more_than_the_context_holds_is_400(client: TestClient, asked: dict[str, Any]) -> None:
    response = client.post(URL, json=TEXT | asked)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "prompt")
    assert "maximum context length is 512 tokens" in error["message"]


def test_a_big_body_is_worked_on_aside_and_answered_the_same(engine: ScriptedGenerator) -> None:
    client = TestClient(bare_app(server_context(engine, max_model_len=50_000)))
    response = client.post(URL, json=TEXT | {"prompt": "x" * 40_000})
    assert response.status_code == 200
    assert len(engine.requests[0].prompt) == 40_001
    assert client.post(URL, json=TEXT | {"prompt": "x" * 60_000}).status_code == 400
