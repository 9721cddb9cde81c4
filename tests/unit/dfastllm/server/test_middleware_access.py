import asyncio
import contextlib
from typing import Any

import anyio
import pytest
from prometheus_client import REGISTRY
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from dfastllm.core import FinishReason
from dfastllm.errors import DeadlineExceeded, EngineFailed, InvalidRequest, RowFailed
from dfastllm.metrics import HttpMetrics
from dfastllm.server.middleware.access import AccessMiddleware
from support.scripted import Say, ScriptedGenerator
from support.served import TEXT, Served


def lines(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "request"]


def count(route: str, outcome: str) -> float:
    labels = {"route": route, "outcome": outcome}
    return REGISTRY.get_sample_value("dfastllm_requests_total", labels) or 0.0


def test_one_line_says_what_a_request_was_and_cost_but_not_its_text() -> None:
    with capture_logs() as logs:
        body = {**TEXT, "prompt": "secret words", "frobnicate": 1}
        Served().client.post("/v1/completions", json=body)
    (line,) = lines(logs)
    assert line.pop("ms") >= 0
    assert line.pop("ttft_ms") >= 0
    assert len(line.pop("request_id")) == 32
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/v1/completions",
        "status": 200,
        "outcome": "ok",
        "caller": "192.0.2.7",
        "model": "tiny",
        "choices": 1,
        "prompt_tokens": 13,
        "completion_tokens": 5,
        "forward_passes": 5,
        "refresh_passes": 1,
        "queue_ms": 250.0,
        "strategy": "threshold",
        "cache": "none",
        "finish_reason": "stop",
        "ignored": ["frobnicate"],
    }
    assert "secret" not in str(logs)
    assert "hello" not in str(logs)


def test_the_preset_that_was_asked_for_is_in_the_line() -> None:
    with capture_logs() as logs:
        Served().client.post("/v1/completions", json={**TEXT, "diffusion": {"preset": "quality"}})
    (line,) = lines(logs)
    assert (line["preset"], line["strategy"]) == ("quality", "fixed")


def test_probes_are_quiet_and_the_log_can_be_off() -> None:
    with capture_logs() as logs:
        Served().client.get("/health/ready")
    assert [line["log_level"] for line in lines(logs)] == ["debug"]
    with capture_logs() as logs:
        Served({"access_log": "false"}).client.post("/v1/completions", json=TEXT)
    assert lines(logs) == []


@pytest.mark.parametrize(
    ("engine", "body", "outcome"),
    [
        (ScriptedGenerator(), TEXT, "ok"),
        (ScriptedGenerator(), {**TEXT, "stream": True}, "ok"),
        (ScriptedGenerator(refusal=InvalidRequest("no")), TEXT, "client_error"),
        (ScriptedGenerator(), {**TEXT, "model": "another"}, "model_not_found"),
        (ScriptedGenerator(refusal=EngineFailed("dead")), TEXT, "unavailable"),
        (ScriptedGenerator([Say(error=RowFailed("x"))]), TEXT, "server_error"),
        (ScriptedGenerator([Say(error=DeadlineExceeded("x"))]), TEXT, "deadline"),
        *(
            (ScriptedGenerator([Say("a"), Say(error=error)]), {**TEXT, "stream": True}, outcome)
            for error, outcome in (
                (RowFailed("x"), "server_error"),
                (DeadlineExceeded("x"), "deadline"),
                (EngineFailed("x"), "unavailable"),
            )
        ),
    ],
)
def test_outcomes_are_counted(
    engine: ScriptedGenerator, body: dict[str, Any], outcome: str
) -> None:
    before = count("completions", outcome)
    Served(engine=engine).client.post("/v1/completions", json=body)
    assert count("completions", outcome) == before + 1


async def looks_around(scope: Scope, receive: Receive, send: Send) -> None:
    seen = REGISTRY.get_sample_value("dfastllm_http_requests_running")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(seen).encode()})


@pytest.mark.parametrize(
    ("path", "running"), [("/v1/chat/completions", b"1.0"), ("/v1/models", b"0.0")]
)
def test_requests_under_way_are_counted_if_they_want_answers(path: str, running: bytes) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def call(app: ASGIApp) -> None:
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        await AccessMiddleware(app, metrics=HttpMetrics())(scope, receive_nothing, send)

    async def receive_nothing() -> Message:
        return {"type": "http.disconnect"}

    asyncio.run(call(looks_around))
    assert sent[1]["body"] == running
    asyncio.run(call(broken))
    assert REGISTRY.get_sample_value("dfastllm_http_requests_running") == 0


def test_paths_nobody_serves_are_one_label() -> None:
    before = count("other", "client_error")
    client = Served().client
    for path in ("/a", "/b", "/v1/../etc/passwd"):
        client.get(path)
    assert count("other", "client_error") == before + 3


def test_chunks_of_a_stream_are_timed() -> None:
    def seen(name: str) -> float:
        return REGISTRY.get_sample_value(f"dfastllm_{name}_count") or 0.0

    chunks, firsts = seen("inter_chunk_seconds"), seen("time_to_first_token_seconds")
    script = [Say("a"), Say("b", after_s=0.001), Say("c", 0.001, finish=FinishReason.STOP)]
    body = {**TEXT, "stream": True}
    Served(engine=ScriptedGenerator(script)).client.post("/v1/completions", json=body)
    assert seen("inter_chunk_seconds") > chunks
    assert seen("time_to_first_token_seconds") == firsts + 1


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("secret detail")


async def broken_after_answering(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})
    raise ValueError("secret detail")


async def not_implemented(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 501, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def broken_while_answering(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("secret detail")


@pytest.mark.parametrize(
    ("app", "outcome"),
    [(not_implemented, "client_error"), (broken_while_answering, "server_error")],
)
def test_outcomes_of_what_is_not_ours(app: ASGIApp, outcome: str) -> None:
    before = count("models", outcome)
    Served(make_app=lambda _: app).client.get("/v1/models")
    assert count("models", outcome) == before + 1


async def cut_off(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise asyncio.CancelledError


def test_an_answer_that_was_cut_off_is_not_a_success() -> None:
    before = count("models", "cancelled")
    scope: Scope = {"type": "http", "method": "GET", "path": "/v1/models", "headers": []}

    async def call() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await Served(make_app=lambda _: cut_off).app(scope, None, ignore)  # type: ignore[arg-type]

    anyio.run(call)
    assert count("models", "cancelled") == before + 1


async def ignore(message: Message) -> None: ...


def test_an_exception_becomes_an_answer_without_its_text() -> None:
    response = Served(make_app=lambda _: broken).client.get("/v1/models")
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "secret" not in response.text
    assert "x-request-id" in response.headers


def test_an_exception_after_the_answer_does_not_cost_the_connection() -> None:
    client = Served(make_app=lambda _: broken_after_answering).from_peer("192.0.2.1")
    client._transport.raise_server_exceptions = True  # type: ignore[attr-defined]
    assert client.get("/v1/models").text == "done"
