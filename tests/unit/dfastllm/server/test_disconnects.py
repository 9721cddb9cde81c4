"""A client that goes away frees its rows, streamed or not: raw sockets, no client library."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from dfastllm.core import FinishReason
from dfastllm.server.record import RequestRecord, record_of
from support.scripted import Say, ScriptedGenerator, bare_app, server_context, serving

SLOW = [Say("a", after_s=0.02), *[Say("b", after_s=0.02)] * 2000]
_engine = ScriptedGenerator()
_records: list[RequestRecord] = []


def _recorded(app: ASGIApp) -> ASGIApp:
    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        _records.append(record_of(scope))

    return outer


@pytest.fixture(scope="module", name="url")
def _url() -> Iterator[str]:
    with serving(_recorded(bare_app(server_context(_engine, keepalive_s=0.05)))) as url:
        yield url


@pytest.fixture(name="engine")
def _reset() -> ScriptedGenerator:
    _engine.__init__(script=SLOW)  # type: ignore[misc]
    _records.clear()
    return _engine


def send(url: str, **more: Any) -> socket.socket:
    body = json.dumps({"model": "tiny", "prompt": "hi", **more}).encode()
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=5)
    head = "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def wait_until(condition: Any) -> float:
    start = time.perf_counter()
    while not condition():
        assert time.perf_counter() - start < 5, "it did not happen"
        time.sleep(0.002)
    return time.perf_counter() - start


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("abrupt", [True, False])
def test_a_disconnect_cancels_every_row_at_once(
    url: str, engine: ScriptedGenerator, n: int, stream: bool, abrupt: bool
) -> None:
    with send(url, stream=stream, n=n) as connection:
        if stream:
            assert b"200 OK" in connection.recv(64)
        wait_until(lambda: len(engine.streams) == n)
        if abrupt:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    took = wait_until(lambda: all(stream.cancelled.is_set() for stream in engine.streams))
    assert took < 0.5
    wait_until(lambda: _records)
    assert _records[0].error_code == "cancelled"


@pytest.mark.parametrize("stream", [True, False])
def test_a_disconnect_before_the_first_token_cancels(
    url: str, engine: ScriptedGenerator, stream: bool
) -> None:
    engine.script = [Say("a", after_s=60)]
    with send(url, stream=stream):
        wait_until(lambda: engine.streams)
    assert wait_until(engine.streams[0].cancelled.is_set) < 0.5


def test_a_reader_that_stops_reading_and_leaves_cancels(
    url: str, engine: ScriptedGenerator
) -> None:
    engine.script = [*[Say("x" * 100_000, tokens=())] * 200, Say("", after_s=60)]
    with send(url, stream=True) as connection:
        connection.recv(64)
        time.sleep(0.2)  # the server is stuck in a full socket by now
        assert not engine.streams[0].cancelled.is_set()
    assert wait_until(engine.streams[0].cancelled.is_set) < 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_finished_answer_is_not_cancelled(
    url: str, engine: ScriptedGenerator, stream: bool
) -> None:
    engine.script = [Say("a", finish=FinishReason.STOP)]
    with send(url, stream=stream) as connection:
        connection.recv(64)
        wait_until(lambda: _records)
    assert not engine.streams[0].cancelled.is_set()
    assert _records[0].error_code is None
