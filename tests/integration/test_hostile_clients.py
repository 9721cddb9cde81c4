"""What clients do to a server on a socket, by mistake or not; it must go on serving the others."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.process import DEADLINE_S, Server, running, until

TEXT = {"model": "tiny", "prompt": "hi"}
PATH = "/v1/completions"
JSON = "Content-Type: application/json\r\n"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running("--plain", "true", "--idle-timeout-s", "300") as server:
        server.client.post(PATH, json=TEXT)
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """Whatever a test did, the server serves afterwards, and is not left with work."""
    yield shared
    assert shared.client.post(PATH, json=TEXT).status_code == 200
    until(lambda: shared.client.get("/health").json()["working_requests"] == 0, "idle")


def head(path: str = PATH, extra: str = "", method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode()


def status_of(connection: socket.socket) -> int:
    """The status of the next answer, which is read whole."""
    with connection.makefile("rb") as answer:
        status = int(answer.readline().split()[1])
        length = 0
        for line in iter(answer.readline, b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        answer.read(length)
    return status


def test_a_huge_announced_body_is_not_collected(server: Server) -> None:
    before = server.memory_bytes()
    with server.connect() as connection:
        connection.sendall(head(extra=f"{JSON}Content-Length: {40 * MEBIBYTE}\r\n"))
        for _ in range(40):
            connection.sendall(b" " * MEBIBYTE)
        assert status_of(connection) == 413
        connection.sendall(head("/health/live", method="GET"))
        assert status_of(connection) == 200, "the connection stays usable"
    assert server.memory_bytes() - before < 20 * MEBIBYTE


def test_a_huge_chunked_body_is_not_collected(server: Server) -> None:
    before = server.memory_bytes()
    piece = f"{MEBIBYTE:x}\r\n".encode() + b" " * MEBIBYTE + b"\r\n"
    with server.connect() as connection:
        connection.sendall(head(extra=f"{JSON}Transfer-Encoding: chunked\r\n"))
        for _ in range(40):
            connection.sendall(piece)
        connection.sendall(b"0\r\n\r\n")
        assert status_of(connection) == 413
    assert server.memory_bytes() - before < 40 * MEBIBYTE


def test_a_client_that_asks_first_is_told_before_it_sends(server: Server) -> None:
    extra = f"{JSON}Content-Length: {10**12}\r\nExpect: 100-continue\r\n"
    with server.connect() as connection:
        connection.sendall(head(extra=extra))
        assert status_of(connection) == 413
        assert connection.recv(1) == b""


def test_endless_headers_are_cut_off(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"X-Filler: " + b"y" * 1000 + b"\r\n")
        received = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                received += piece
    assert received == b"" or received.startswith(b"HTTP/1.1 431 ")


def test_a_large_body_after_a_small_head_is_no_large_head(server: Server) -> None:
    document = json.dumps({**TEXT, "prompt": "x" * 200_000}).encode()
    message = head(extra=f"{JSON}Content-Length: {len(document)}\r\n") + document
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(message)
            assert status_of(connection) == 200


@pytest.mark.parametrize(
    "nested", ["[" * 100_000, '{"a":' * 100_000, '{"model":"tiny","messages":']
)
def test_nested_and_broken_json_is_a_mistake_of_the_client(server: Server, nested: str) -> None:
    response = server.client.post(
        PATH, content=nested, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_deeply_nested_json_that_is_whole_is_refused_as_well(server: Server) -> None:
    nest = '{"a":' * 900 + "1" + "}" * 900
    deep = f'{{"model": "tiny", "prompt": "x", "metadata": {nest}}}'
    response = server.client.post(PATH, content=deep, headers={"Content-Type": "application/json"})
    assert response.status_code in (200, 400)


def test_a_thousand_idle_connections_are_harmless(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            connection = stack.enter_context(server.connect())
            if number % 2:
                connection.sendall(b"POST /v1/compl")  # half a request line
        began = time.monotonic()
        assert server.client.post(PATH, json=TEXT).status_code == 200
        assert time.monotonic() - began < DEADLINE_S / 2


def test_silence_and_half_a_request_are_not_waited_for_without_end() -> None:
    with running("--plain", "true", "--idle-timeout-s", "1") as server:
        for begun in (b"", b"POST /v1/compl", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "):
            with server.connect() as connection:
                connection.sendall(begun)
                assert connection.recv(1) == b""
        with server.connect() as connection:  # a slow answer is no silence
            document = json.dumps({**TEXT, "prompt": "chunks=4 every=0.5"}).encode()
            extra = f"{JSON}Content-Length: {len(document)}\r\n"
            connection.sendall(head(extra=extra) + document)
            assert status_of(connection) == 200


def test_a_body_that_does_not_come_is_not_waited_for_without_end() -> None:
    with running("--plain", "true", "--idle-timeout-s", "1") as server:
        for coding in ("Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"):
            with server.connect() as connection:
                connection.sendall(head(extra=JSON + coding) + b"1\r\n")
                assert connection.recv(1) == b""
        with server.connect() as connection:  # drop by drop is no progress either
            connection.settimeout(0.1)
            connection.sendall(head(extra=f"{JSON}Content-Length: 100000\r\n"))
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while True:
                    connection.sendall(b" ")
                    with contextlib.suppress(TimeoutError):
                        assert connection.recv(1) == b""
                        break
                    assert time.monotonic() - began < DEADLINE_S
        with server.connect() as connection:  # what comes slowly but surely is awaited
            document = json.dumps({**TEXT, "metadata": {"x": "y" * 9000}}).encode()
            connection.sendall(head(extra=f"{JSON}Content-Length: {len(document)}\r\n"))
            for start in range(0, len(document), 2000):
                time.sleep(0.4)
                connection.sendall(document[start : start + 2000])
            assert status_of(connection) == 200


def everything(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as answer:
        return answer.read()


@pytest.mark.parametrize("stream", [True, False])
def test_http_1_0_gets_no_chunks_and_its_end_is_the_connections(
    server: Server, stream: bool
) -> None:
    document = json.dumps({**TEXT, "prompt": "chunks=3 every=0.05", "stream": stream}).encode()
    extra = f"{JSON}Connection: keep-alive\r\nContent-Length: {len(document)}\r\n"
    message = head(extra=extra).replace(b"HTTP/1.1", b"HTTP/1.0") + document
    with server.connect() as connection:
        connection.sendall(message)
        top, _, body = everything(connection).partition(b"\r\n\r\n")
    assert top.split()[1] == b"200"
    assert b"transfer-encoding" not in top.lower()
    assert b"connection: close" in top.lower()
    if stream:
        events = body.decode().split("\n\n")
        assert all(event.startswith("data: ") for event in events[:-1])
        assert events[-2:] == ["data: [DONE]", ""]
    else:
        assert json.loads(body)["choices"][0]["text"] == "xxx"


def test_a_slow_reader_is_not_collected_for_and_holds_nobody_up(server: Server) -> None:
    before = server.memory_bytes()
    document = json.dumps(
        {**TEXT, "prompt": "chunks=400 size=100000", "max_tokens": 1000, "stream": True}
    ).encode()
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head(extra=f"{JSON}Content-Length: {len(document)}\r\n") + document)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        for _ in range(3):
            assert server.client.post(PATH, json=TEXT).status_code == 200
    assert server.memory_bytes() - before < 200 * MEBIBYTE


def test_a_client_that_hangs_up_frees_its_place(server: Server) -> None:
    for stream in (True, False):
        document = json.dumps({**TEXT, "prompt": "chunks=9999 every=0.1", "stream": stream})
        extra = f"{JSON}Content-Length: {len(document)}\r\n"
        with server.connect() as connection:
            connection.sendall(head(extra=extra) + document.encode())
            until(lambda: server.client.get("/health").json()["working_requests"] == 1, "work")
        until(lambda: server.client.get("/health").json()["working_requests"] == 0, "freed")


def test_keys_and_rates_on_a_socket(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("alice: first\n")
    flags = ("--api-keys-file", str(keys), "--request-rate", "3/hour")
    with running("--plain", "true", *flags) as server:

        def get(key: str) -> int:
            header = {"Authorization": f"Bearer {key}"}
            return int(server.client.get("/v1/models", headers=header).status_code)

        assert (get("first"), get("second")) == (200, 401)
        keys.write_text("alice: second\n")
        until(lambda: get("second") == 200, "the new key")
        assert get("first") == 401
        header = {"Authorization": "Bearer second"}
        seen = [server.client.post(PATH, json=TEXT, headers=header).status_code for _ in range(4)]
        assert seen == [200, 200, 200, 429]


def test_a_forged_address_through_the_loopback_is_not_believed() -> None:
    with running("--plain", "true", "--request-rate", "1/hour") as server:
        seen = [
            server.client.post(
                PATH, json=TEXT, headers={"X-Forwarded-For": f"203.0.113.{i}"}
            ).status_code
            for i in range(3)
        ]
        assert seen == [200, 429, 429]
