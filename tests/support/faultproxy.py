"""An HTTP proxy between an operator and a real API server that misbehaves as a test asks for.

with FaultProxy(rig.url, rig.ca) as proxy:
    proxy.fault(Answer(503), writes=True, times=3)

Plain HTTP on loopback in front, TLS behind; whoever asks keeps its own Authorization. It runs in a
thread of the test process, and keeps every request for counting and for comparing with RBAC.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from support.apicall import Call, of_request
from support.callledger import CallLedger
from support.faults import (
    Answer,
    Coalesce,
    Delay,
    Drop,
    Duplicate,
    ErrorEvent,
    Fault,
    LoseAnswer,
    Match,
    Rule,
    StaleList,
)
from support.loopthread import LoopThread
from support.watchfeed import WatchFeed

HOST = "127.0.0.1"
# Of one connection only, or made anew by the proxy; asked for plain text, so that it can be read.
NOT_PASSED_ON = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "accept-encoding"}
)


@dataclass(frozen=True, slots=True)
class _Page:
    """An answer that is here as a whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


class FaultProxy:
    """Usable between `start` and `stop`, or as a context; its methods are for the tests' thread."""

    def __init__(self, upstream: str, ca: Path | None = None) -> None:
        self._upstream = upstream.rstrip("/")
        self._tls = ssl.create_default_context(cafile=str(ca)) if ca else None
        self._thread = LoopThread("faultproxy")
        self._rules: list[Rule] = []
        self._watches: set[WatchFeed] = set()
        self._lists: dict[str, _Page] = {}
        self._stale: dict[str, _Page] = {}
        self._out = False
        self.ledger = CallLedger()
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        self.url = self._thread.run(self._start())

    def stop(self) -> None:
        self._thread.run(self._stop())
        self._thread.stop()

    def __enter__(self) -> "FaultProxy":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fault(
        self,
        fault: Fault,
        *,
        verbs: tuple[str, ...] = (),
        resource: str = "",
        subresource: str | None = None,
        name: str = "",
        path: str = "",
        writes: bool = False,
        skip: int = 0,
        times: int | None = None,
    ) -> Rule:
        """From now on; the first rule that matches and is not used up decides."""
        match = Match(frozenset(verbs), resource, subresource, name, path, writes)
        rule = Rule(fault, match, skip, times)
        if isinstance(fault, StaleList):
            self._stale = dict(self._lists)
        self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        self._rules.remove(rule)

    def clear(self) -> None:
        self._rules.clear()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Every connection is cut, and no request is answered."""
        self._out = True
        self.close_watches()
        try:
            yield
        finally:
            self._out = False

    def close_watches(self, resource: str = "") -> int:
        """End the open ones, as the server may at any time; how many there were."""
        return self._thread.run(self._each_watch(resource, lambda watch: watch.closed.set()))

    def silence_watches(self, resource: str = "") -> int:
        """The open ones stay open and never say anything again; how many there were."""

        def silence(watch: WatchFeed) -> None:
            watch.silent = True

        return self._thread.run(self._each_watch(resource, silence))

    @property
    def open_watches(self) -> list[Call]:
        return [watch.call for watch in list(self._watches)]

    async def _start(self) -> str:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._out = True
        await self._each_watch("", lambda watch: watch.closed.set())
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0)  # connections say goodbye in the next turn of the loop

    async def _each_watch(self, resource: str, act: Callable[[WatchFeed], None]) -> int:
        hit = [w for w in self._watches if resource in ("", w.call.resource)]
        for watch in hit:
            act(watch)
        return len(hit)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = of_request(request.method, request.path, request.query)
        fault = self._fault_for(call, request.path_qs)
        if self._out or isinstance(fault, Drop):
            return _cut(request)
        if isinstance(fault, Answer):
            return self._answer(call, fault)
        if isinstance(fault, StaleList) and (page := self._stale.get(request.path_qs)):
            self.ledger.note(call, page.status, faked=True)
            return page.response()
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        try:
            return await self._forward(request, call, fault)
        except (aiohttp.ClientError, OSError):
            return _cut(request)

    def _fault_for(self, call: Call, path: str) -> Fault | None:
        for rule in list(self._rules):
            if rule.due(call, path):
                return rule.fault
        return None

    def _answer(self, call: Call, fault: Answer) -> web.Response:
        self.ledger.note(call, fault.status, faked=True)
        headers = {}
        if fault.retry_after_s is not None:
            headers["Retry-After"] = str(fault.retry_after_s)
        return web.json_response(fault.body(), status=fault.status, headers=headers)

    async def _forward(
        self, request: web.Request, call: Call, fault: Fault | None
    ) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in NOT_PASSED_ON}
        # Read apart from the client: what is asked is carried out even if the client dies.
        asking = self._session.request(
            request.method,
            self._upstream + request.raw_path,
            headers={**headers, "Accept-Encoding": "identity"},
            data=await request.read() or None,
            ssl=self._tls if self._tls is not None else True,
        )
        async with asking as answer:
            if call.verb == "watch" and answer.status == 200:
                self.ledger.note(call, answer.status)
                return await self._stream(request, call, answer, fault)
            page = _Page(answer.status, _passed_on(answer), await answer.read())
        self.ledger.note(call, page.status)
        if call.verb == "list":
            self._lists[request.path_qs] = page
        if self._out or isinstance(fault, LoseAnswer):
            return _cut(request)
        return page.response()

    async def _stream(
        self,
        request: web.Request,
        call: Call,
        answer: aiohttp.ClientResponse,
        fault: Fault | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_passed_on(answer))
        await response.prepare(request)
        if isinstance(fault, ErrorEvent):
            event = {"type": "ERROR", "object": Answer(fault.status).body()}
            await response.write(json.dumps(event).encode() + b"\n")
            return response
        distortion = fault if isinstance(fault, Duplicate | Coalesce) else None
        watch = WatchFeed(call, distortion)
        self._watches.add(watch)
        try:
            await watch.pump(answer, response)
        finally:
            self._watches.discard(watch)
            _hang_up(answer)
        return _cut(request) if self._out else response


def _passed_on(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.lower() not in NOT_PASSED_ON}


def _hang_up(answer: aiohttp.ClientResponse) -> None:
    """Without the farewell of TLS, which takes longer than the loop may live."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()


def _cut(request: web.Request) -> web.Response:
    """End the connection without a word; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
