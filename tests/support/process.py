"""A server in a process of its own: started, waited for by its log, stopped by its id.

with running("--plain", "true") as server:
    server.client.get("/health")
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
RARELY_S = 0.25
DEADLINE_S = 90.0  # a machine may be busy; nothing here waits that long on an idle one


def until(
    condition: Callable[[], Any],
    what: str = "",
    deadline_s: float = DEADLINE_S,
    every_s: float = 0.01,
) -> Any:
    """The first true value of `condition`, asked again and again until the deadline.

    The longer it has waited, the less often it asks, down to every `RARELY_S`: questions take their
    time from what is waited for.
    """
    begun = time.monotonic()
    while (waited_s := time.monotonic() - begun) < deadline_s:
        if value := condition():
            return value
        time.sleep(max(every_s, min(waited_s / 20, RARELY_S)))
    raise AssertionError(f"not within {deadline_s} s: {what or condition}")


class Server:
    """The process and what it wrote so far."""

    def __init__(self, *args: str, command: str = "support.scripted_server"):
        paths = (ROOT / "model_server", ROOT / "tests")
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command.split(), "--port", "0", *args],
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=ROOT,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def _read_all(self) -> None:
        self._reader.join(DEADLINE_S)
        if self.process.stderr is not None:
            self.process.stderr.close()

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def said(self, message: str) -> dict[str, Any]:
        """Wait for the log line with this message."""

        def find() -> dict[str, Any] | None:
            alive = self.process.poll() is None
            found = next((line for line in self.log if line["message"] == message), None)
            assert found or alive, f"ended without {message!r}: {self.lines}"
            return found

        return dict(until(find, message))

    @cached_property
    def client(self) -> httpx.Client:
        # Reading the machine's certificates takes longer than most tests.
        return httpx.Client(base_url=self.url, verify=False, timeout=DEADLINE_S)

    @property
    def url(self) -> str:
        return str(self.said("listening")["url"])

    def connect(self) -> socket.socket:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return socket.create_connection((host, int(port)), timeout=DEADLINE_S)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit status."""
        status = self.process.wait(DEADLINE_S)
        self._read_all()
        return status

    def memory_bytes(self) -> int:
        """Resident memory at its highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        if "client" in self.__dict__:
            self.client.close()


@contextmanager
def running(
    *args: str, ready: bool = True, command: str = "support.scripted_server"
) -> Iterator[Server]:
    server = Server(*args, command=command)
    try:
        if ready:
            server.said("ready")
        yield server
    finally:
        server.close()
