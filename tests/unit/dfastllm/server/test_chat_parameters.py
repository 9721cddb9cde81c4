"""Parameters of /v1/chat/completions alone."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from support.scripted import BOS, ScriptedGenerator, bare_app, server_context

URL = "/v1/chat/completions"
USER = {"role": "user", "content": "hi"}


@pytest.fixture(name="engine")
def _engine() -> ScriptedGenerator:
    return ScriptedGenerator()


@pytest.fixture(name="client")
def _client(engine: ScriptedGenerator) -> TestClient:
    return TestClient(bare_app(server_context(engine)))


def ask(client: TestClient, *messages: Any, **more: Any) -> Any:
    return client.post(URL, json={"model": "tiny", "messages": list(messages), **more})


@pytest.mark.parametrize(
    ("message", "rendered"),
    [
        ({"role": "system", "content": "s"}, "system:s\n"),
        ({"role": "developer", "content": "d"}, "system:d\n"),
        ({"role": "assistant", "content": "a"}, "assistant:a\n"),
        ({"role": "assistant", "content": None, "refusal": "no"}, "assistant:no\n"),
        ({"role": "tool", "content": "t", "tool_call_id": "1"}, "tool:t\n"),
        ({"role": "function", "content": "f", "name": "g"}, "tool:f\n"),
        ({"role": "user", "content": [{"type": "text", "text": "a"}]}, "user:a\n"),
        (
            {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]},
            "user:a\nb\n",
        ),
    ],
)
def test_turns_are_rendered(
    client: TestClient, engine: ScriptedGenerator, message: Any, rendered: str
) -> None:
    response = ask(client, message)
    assert response.status_code == 200, response.text
    assert engine.requests[0].prompt == (BOS, *rendered.encode())


def test_turns_of_tools_are_history(client: TestClient) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    response = ask(
        client,
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "2"},
    )
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        {},
        "hi",
        [5],
        [{}],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": 5}],
        [{"role": "alien", "content": "x"}],
        [{"content": "x"}],
        [{"role": "assistant", "content": None}],
        [{"role": "user", "content": [5]}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
        [{"role": "user", "content": [{"type": "file", "file": {}}]}],
        [{"role": "user", "content": "x", "audio": {"id": "1"}}],
        [{"role": "assistant", "content": "x", "function_call": {"name": "f"}}],
        [{"role": "assistant", "content": "x", "tool_calls": [{"function": {}}]}],
    ],
)
def test_messages_that_are_none_are_400(client: TestClient, messages: Any) -> None:
    response = client.post(URL, json={"model": "tiny", "messages": messages})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"].split(".")[0] == "messages"


def test_the_type_of_an_alien_part_is_named(client: TestClient) -> None:
    response = ask(client, {"role": "user", "content": [{"type": "image_url"}]})
    assert "image_url" in response.json()["error"]["message"]


def test_unread_keys_of_messages_are_listed(client: TestClient) -> None:
    response = ask(client, USER | {"reasoning_content": "x", "annotations": None})
    assert response.headers["x-dfastllm-ignored"] == "messages.reasoning_content"


def test_a_model_without_template_refuses_a_conversation(engine: ScriptedGenerator) -> None:
    ctx = server_context(engine)
    ctx.codec.has_chat_template = False  # type: ignore[misc]
    assert ask(TestClient(bare_app(ctx)), USER).status_code == 400


def test_without_a_limit_the_canvas_grows_up_to_the_default(
    client: TestClient, engine: ScriptedGenerator
) -> None:
    ask(client, USER)
    assert engine.requests[0].max_tokens == 256


def test_the_default_is_bounded_by_the_room_that_is_left(
    client: TestClient, engine: ScriptedGenerator
) -> None:
    ask(client, {"role": "user", "content": "x" * 400})
    request = engine.requests[0]
    assert len(request.prompt) + request.max_tokens == 512


@pytest.mark.parametrize(("content", "limit"), [("x" * 600, None), ("x", 512)])
def test_more_than_the_context_holds_is_400(
    client: TestClient, content: str, limit: int | None
) -> None:
    response = ask(client, {"role": "user", "content": content}, max_tokens=limit)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
        ({"logprobs": False, "top_logprobs": 1}, "top_logprobs"),
    ],
)
def test_wrong_logprobs_are_refused(client: TestClient, asked: dict[str, Any], param: str) -> None:
    response = ask(client, USER, **asked)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_the_first_choice_has_the_seed_of_the_request(
    client: TestClient, engine: ScriptedGenerator
) -> None:
    ask(client, USER, seed=-3)
    ask(client, USER, seed=-3, n=3)
    seeds = [request.sampling.seed for request in engine.requests]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3
    assert all(seed >= 0 for seed in seeds)
