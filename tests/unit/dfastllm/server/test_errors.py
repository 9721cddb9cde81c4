"""Errors on the wire: status, type, code and headers of each."""

import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI, Header
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from dfastllm.errors import (
    Cancelled,
    CheckpointError,
    DeadlineExceeded,
    EngineFailed,
    InvalidRequest,
    NotReady,
    Overloaded,
    PromptTooLong,
    RowFailed,
)
from dfastllm.server.errors import install_error_handlers, reply_for
from support.scripted import Say, ScriptedGenerator, bare_app, server_context
from support.served import Served

TEXT = {"model": "tiny", "prompt": "hi"}

TABLE: list[tuple[Exception, int, str, str | None]] = [
    (InvalidRequest("x", param="n"), 400, "invalid_request_error", "invalid_value"),
    (PromptTooLong("x"), 400, "invalid_request_error", "context_length_exceeded"),
    (NotReady("x"), 503, "service_unavailable_error", "server_is_overloaded"),
    (Overloaded("x"), 503, "service_unavailable_error", "server_is_overloaded"),
    (Overloaded("x", scope="key"), 429, "rate_limit_error", "rate_limit_exceeded"),
    (DeadlineExceeded("x"), 408, "timeout_error", "timeout"),
    (RowFailed("no memory"), 500, "server_error", "server_error"),
    (EngineFailed("secret"), 503, "service_unavailable_error", "server_is_overloaded"),
    (Cancelled("x"), 499, "invalid_request_error", "cancelled"),
    (CheckpointError("secret"), 500, "server_error", "server_error"),
    (ZeroDivisionError("secret"), 500, "server_error", "server_error"),
]


def post(engine: ScriptedGenerator, **more: Any) -> Any:
    client = TestClient(bare_app(server_context(engine)))  # raises what escapes the application
    return client.post("/v1/completions", json=TEXT | more)


@pytest.mark.parametrize(("error", "status", "kind", "code"), TABLE)
@pytest.mark.parametrize("place", ["submit", "answer", "stream"])
def test_the_table(error: Exception, status: int, kind: str, code: str | None, place: str) -> None:
    engine = ScriptedGenerator(script=[Say(error=error)])
    if place == "submit":
        engine.refusal = error
    response = post(engine, stream=place == "stream")
    assert response.status_code == status
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["type"], body["error"]["code"]) == (kind, code)
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert response.headers["x-request-id"]
    assert ("retry-after" in response.headers) == (status in (429, 503))


def test_retry_after_is_what_the_engine_says() -> None:
    assert reply_for(Overloaded("x", retry_after_s=7)).headers == {"Retry-After": "7"}
    assert reply_for(NotReady("x", retry_after_s=0)).headers == {"Retry-After": "1"}


def test_a_missed_deadline_is_not_to_be_repeated() -> None:
    assert reply_for(DeadlineExceeded("x")).headers == {"x-should-retry": "false"}


def test_a_prompt_too_long_for_the_engine_is_named_by_route() -> None:
    engine = ScriptedGenerator(refusal=PromptTooLong("no memory"))
    assert post(engine).json()["error"]["param"] == "prompt"


def test_a_fault_of_ours_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        post(ScriptedGenerator(script=[Say(error=ZeroDivisionError("secret"))]))
    assert "secret" in caplog.text


def test_one_failing_choice_stops_the_others() -> None:
    scripts = iter([[Say(after_s=60)], [Say("x"), Say(error=RowFailed("x"))]])
    engine = ScriptedGenerator(script_for=lambda _: next(scripts))
    assert post(engine, n=2).status_code == 500
    assert engine.streams[0].cancelled.is_set()


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/completions", 405, "method_not_allowed"),
        ("PUT", "/chat/completions", 405, "method_not_allowed"),
        ("POST", "/models", 405, "method_not_allowed"),
        ("DELETE", "/models/tiny", 405, "method_not_allowed"),
        ("POST", "/embeddings", 404, "not_found"),
        ("POST", "/responses", 404, "not_found"),
        ("GET", "/models/gpt-4", 404, "model_not_found"),
    ],
)
def test_paths_and_methods(prefix: str, method: str, path: str, status: int, code: str) -> None:
    client = TestClient(bare_app(server_context(ScriptedGenerator())))
    response = client.request(method, prefix + path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert ("allow" in response.headers) == (status == 405)
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"model": "tiny", "prompt": "\\ud800"}',
        b'{"model": "tiny", "prompt": "x", "temperature": NaN}',
        b'{"model": "tiny", "prompt": "x", "temperature": 1e999}',
        b'{"model": "tiny", "prompt": "x", "seed": ' + b"9" * 400 + b"}",
        b"[" * 5000 + b"]" * 5000,
        b'{"model": "tiny", "prompt": ' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"model": "tiny", "prompt": "x", "tools": ' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"model": "tiny", "prompt": "x", "stop": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
    ],
)
def test_bodies_that_are_none_are_400(body: bytes) -> None:
    client = TestClient(bare_app(server_context(ScriptedGenerator())))
    headers = {"content-type": "application/json"}
    response = client.post("/v1/completions", content=body, headers=headers)
    assert response.status_code == 400, response.text[:300]
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 415),
        ("application/jsonp", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        (None, 415),
    ],
)
def test_the_content_type_must_be_json(kind: str | None, status: int) -> None:
    client = TestClient(bare_app(server_context(ScriptedGenerator())))
    headers = {} if kind is None else {"content-type": kind}
    body = json.dumps(TEXT).encode()
    response = client.post("/v1/completions", content=body, headers=headers)
    assert response.status_code == status
    if status == 415:
        assert response.json()["error"]["type"] == "invalid_request_error"


def _foreign_app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/number/{number}")
    def number(number: int, x_count: int = Header(1)) -> int:
        return 1 // (number - x_count)

    @app.get("/teapot")
    def teapot() -> None:
        raise HTTPException(418, "short and stout", headers={"x-pot": "tea"})

    @app.get("/full")
    def full() -> None:
        raise Overloaded("full")

    return app


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/number/x", 400, "invalid_value"),
        ("/number/1", 500, "server_error"),
        ("/teapot", 418, None),
        ("/full", 503, "server_is_overloaded"),
        ("/nowhere", 404, "not_found"),
    ],
)
def test_routes_of_others_get_the_same_form(path: str, status: int, code: str | None) -> None:
    response = TestClient(_foreign_app(), raise_server_exceptions=False).get(path)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/openai/v1/completions/"])
def test_a_slash_too_many_is_no_redirect_to_whatever_host_was_named(path: str) -> None:
    client = Served().client
    response = client.post(path, json=TEXT, headers={"Host": "evil"}, follow_redirects=False)
    assert response.status_code == 404
    assert "location" not in response.headers
    assert response.json()["error"]["code"] == "not_found"


def test_headers_of_an_http_exception_are_kept() -> None:
    response = TestClient(_foreign_app()).get("/teapot")
    assert response.headers["x-pot"] == "tea"
    assert response.json()["error"]["message"] == "short and stout"
