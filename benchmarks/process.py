"""A server in a process of its own, watched from outside: address, readiness, memory, metrics."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, cast

from prometheus_client.parser import text_string_to_metric_families

_READY_S = 120.0
_WATCH_S = 0.05


class ServerProcess:
    """Starts `python -m MODULE FLAGS --port 0` and reads its log. Use it as a context manager."""

    def __init__(self, module: str, flags: Sequence[str] = ()):
        # A benchmark that is stopped must not leave its server behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self._keep = True  # the log's lines, until the server is ready
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *flags, "--port", "0"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._log = cast(IO[str], self._process.stderr)
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._peak_anonymous = 0
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            self.url = str(self._wait_for("listening")["url"])
            self.port_open_s = time.perf_counter() - began
            self._wait_for("ready")
        except BaseException:
            self._process.kill()
            raise
        self.ready_s = time.perf_counter() - began
        self._keep = False

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)
        self._reader.join(timeout=10)
        self._log.close()

    @property
    def rss_bytes(self) -> int:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def memory(self) -> dict[str, int]:
        """Bytes: resident, of that anonymous (weights, K/V, the heap), and the highest of both."""
        status = self._status()
        return {
            "rss": status["VmRSS"],
            "anonymous": status["RssAnon"],
            "peak_rss": status["VmHWM"],
            "peak_anonymous": max(self._peak_anonymous, status["RssAnon"]),
        }

    def metrics(self) -> dict[str, float]:
        """Samples without labels, by name."""
        families = text_string_to_metric_families(self.get("/metrics"))
        return {s.name: s.value for family in families for s in family.samples if not s.labels}

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return str(reply.read().decode())

    def _status(self) -> dict[str, int]:
        """Sizes that the kernel keeps of the process, in bytes; empty when it has ended."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        words = [line.split() for line in lines if line.endswith(" kB")]
        return {name.rstrip(":"): int(size) * 1024 for name, size, _ in words}

    def _watch(self) -> None:
        """The kernel keeps no peak of anonymous memory."""
        while self._process.poll() is None:
            try:
                size = self._status().get("RssAnon", 0)
            except OSError:  # it has just ended
                return
            self._peak_anonymous = max(self._peak_anonymous, size)
            time.sleep(_WATCH_S)

    def _read(self) -> None:
        """Empty the pipe all along: a server whose log nobody reads stands still."""
        for line in self._log:
            if self._keep:
                self._lines.put(line)

    def _wait_for(self, message: str) -> dict[str, object]:
        end = time.monotonic() + _READY_S
        while (left := end - time.monotonic()) > 0 and self._process.poll() is None:
            try:
                line = self._lines.get(timeout=min(left, 1.0))
            except Empty:
                continue
            if not line.startswith("{"):
                print(line, end="", file=sys.stderr)
                continue
            entry = dict(json.loads(line))
            if entry["message"] == message:
                return entry
            if entry.get("level") == "error":
                raise RuntimeError(f"the server said: {entry['message']}: {entry.get('error')}")
        raise RuntimeError(f"the server never said {message!r}")
