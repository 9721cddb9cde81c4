"""Metrics for pods that serve nothing: what a Prometheus would answer, had it scraped them.

Each question finds some more answers finished on every pod, so traffic is steady.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from dfastllm_operator.analysis.exposition import points
from support.counted import CountedServer

ANSWERS_BETWEEN_LOOKS = 4
_PODS = re.compile(r'pod=~"([^"]*)"')


class Exporter:
    """`forwards` are those of an answer of 40 tokens, by what the name of a pod contains."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.forwards: dict[str, int] = {}
        self._pods: dict[str, CountedServer] = {}
        self._lock = threading.Lock()

    def answer(self, query: str, at: float) -> list[dict[str, Any]]:
        found = _PODS.search(query)
        pods = found.group(1).replace("\\", "").split("|") if found else []
        with self._lock:
            if query.startswith("timestamp"):
                return [_entry({"pod": pod}, at, at) for pod in pods]
            return [entry for pod in pods for entry in self._of(pod, at)]

    def _of(self, pod: str, at: float) -> Iterator[dict[str, Any]]:
        server = self._pods.setdefault(pod, CountedServer())
        forwards = next((n for part, n in self.forwards.items() if part in pod), 10)
        server.answer(ANSWERS_BETWEEN_LOOKS, forwards=forwards)
        for point in points(server.page()):
            yield _entry({"__name__": point.name, "pod": pod, **point.labels}, point.value, at)


@contextmanager
def exporting() -> Iterator[Exporter]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    exporter = Exporter(f"http://127.0.0.1:{server.server_port}")
    server.exporter = exporter  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield exporter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        at = float(form.get("time", [str(time.time())])[0])
        exporter: Exporter = self.server.exporter  # type: ignore[attr-defined]
        result = exporter.answer(form["query"][0], at)
        data = {"status": "success", "data": {"resultType": "vector", "result": result}}
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _entry(labels: dict[str, str], value: float, at: float) -> dict[str, Any]:
    return {"metric": labels, "value": [at, str(value)]}
