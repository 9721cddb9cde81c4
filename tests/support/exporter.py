"""Metrics of pods that serve nothing: a page for each, as their servers would have it.

Each time a page is read some more answers were finished, so traffic is steady. What a pod is like
is said for all pods whose name contains some text.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from support.counted import CountedServer
from support.loopthread import LoopThread

ANSWERS_BETWEEN_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Likeness:
    """`forwards` are those of an answer of 40 tokens; `running` the requests that never end.

    With `nan` one of the counters is not a number; a pod that is not `scraped` has no page.
    """

    forwards: int = 10
    running: int = 0
    nan: bool = False
    scraped: bool = True


class Exporter:
    """Asked by Prometheus in one thread, told what pods are like in others.

    Pods that are alike and were read as often have the same page, so each is made once.
    """

    def __init__(self) -> None:
        self.port = 0
        self._likenesses: dict[str, Likeness] = {}
        self._looks: defaultdict[str, int] = defaultdict(int)
        self._books: defaultdict[int, _Book] = defaultdict(_Book)
        self._lock = threading.Lock()

    def make(self, part: str, **fields: Any) -> None:
        """From now on pods whose name contains `part` are like that; the longest part counts.

        `forwards` of a pod that was read before may only grow, as counters do.
        """
        with self._lock:
            self._likenesses[part] = replace(self._likenesses.get(part, Likeness()), **fields)

    def like(self, pod: str) -> Likeness:
        with self._lock:
            parts = [part for part in self._likenesses if part in pod]
            return self._likenesses[max(parts, key=len)] if parts else Likeness()

    def page(self, pod: str) -> bytes:
        like = self.like(pod)
        self._looks[pod] += 1
        page = self._books[like.forwards].page(self._looks[pod], like.forwards)
        if like.running:
            page = _with(page, b"dfastllm_requests_running", str(float(like.running)).encode())
        return _with(page, b"dfastllm_generation_tokens_total", b"NaN") if like.nan else page


class _Book:
    """The pages of a server, one after the other."""

    def __init__(self) -> None:
        self._server = CountedServer()
        self._pages: list[bytes] = [self._server.page()]

    def page(self, number: int, forwards: int) -> bytes:
        while len(self._pages) <= number:
            self._server.answer(ANSWERS_BETWEEN_LOOKS, forwards=forwards)
            self._pages.append(self._server.page())
        return self._pages[number]


@contextmanager
def exporting() -> Iterator[Exporter]:
    """Pages at `http://127.0.0.1:PORT/NAMESPACE/POD`."""
    exporter, loop = Exporter(), LoopThread("exporter")
    loop.start()
    runner = loop.run(_serve(exporter))
    try:
        exporter.port = int(runner.addresses[0][1])
        yield exporter
    finally:
        loop.run(runner.cleanup())
        loop.stop()


async def _serve(exporter: Exporter) -> web.AppRunner:
    async def page(request: web.Request) -> web.Response:
        pod = request.match_info["pod"]
        if not exporter.like(pod).scraped:
            raise web.HTTPServiceUnavailable
        return web.Response(body=exporter.page(pod), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/{namespace}/{pod}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def _with(page: bytes, name: bytes, value: bytes) -> bytes:
    """The page with another value of one metric that has no labels."""
    start = page.index(b"\n" + name + b" ") + len(name) + 2
    return page[:start] + value + page[page.index(b"\n", start) :]
