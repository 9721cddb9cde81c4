from collections.abc import Iterator

import anyio
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from support.served import TEXT, Served

PATH = "/v1/completions"


def pieces(count: int, size: int = 1000) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * size


def test_an_announced_body_over_the_limit_is_refused() -> None:
    served = Served({"max_body_bytes": "100"})
    response = served.client.post(PATH, json={**TEXT, "prompt": "x" * 100})
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"
    assert "connection" not in response.headers
    assert served.client.post(PATH, json=TEXT).status_code == 200


def test_a_body_without_a_length_is_counted() -> None:
    served = Served({"max_body_bytes": "2500"})
    response = served.client.post(PATH, content=pieces(10))
    assert response.status_code == 413
    assert served.client.post(PATH, content=pieces(2)).status_code == 415


def test_the_limit_itself_is_allowed() -> None:
    served = Served({"max_body_bytes": "2000"})
    assert served.client.post(PATH, content=pieces(2)).status_code == 415
    assert served.client.post(PATH, content=b" " * 2000).status_code == 415


def test_a_client_that_asks_first_need_not_send() -> None:
    read: list[Message] = []
    served = Served({"max_body_bytes": "100"}, make_app=lambda _: swallow(read))
    response = served.client.post(
        "/v1/completions", content=b" " * 1000, headers={"Expect": "100-continue"}
    )
    assert response.status_code == 413
    assert response.headers["connection"] == "close"
    assert read == []


def test_an_application_that_hides_the_refusal_is_overruled() -> None:
    read: list[Message] = []
    served = Served({"max_body_bytes": "1500"}, make_app=lambda _: swallow(read))
    assert served.client.post("/any", content=pieces(5)).status_code == 413
    assert read == []


def test_an_endless_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfastllm.server.middleware.body_limit._LINGER_BYTES", 5000)
    read, sent = 0, []

    async def endless() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    scope.update({"query_string": b"", "client": ("::1", 1)})
    anyio.run(Served({"max_body_bytes": "1500"}).app, scope, endless, send)
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]
    assert read < 10


def swallow(read: list[Message]) -> ASGIApp:
    """An application that answers 400 whatever goes wrong with the body, as FastAPI does."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status = 200
        try:
            while True:
                message = await receive()
                read.append(message)
                if not message.get("more_body"):
                    break
        except Exception:
            status = 400
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app
