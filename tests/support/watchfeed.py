"""One watch on its way through the proxy: passed on line by line, silenced, closed, distorted."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import ClientResponse, web

from support.apicall import Call
from support.faults import Coalesce, Duplicate, Fault


@dataclass(slots=True, eq=False)
class WatchFeed:
    """`silent` and `closed` are the tests' to set, from the proxy's own thread."""

    call: Call
    fault: Fault | None = None
    silent: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def pump(self, source: ClientResponse, sink: web.StreamResponse) -> None:
        """Until one end closes, or `closed` is set. Silent, it swallows what comes."""
        copying = asyncio.ensure_future(self._copy(source, sink))
        closing = asyncio.ensure_future(self.closed.wait())
        try:
            await asyncio.wait({copying, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            copying.cancel()
            closing.cancel()
            await asyncio.gather(copying, closing, return_exceptions=True)

    async def _copy(self, source: ClientResponse, sink: web.StreamResponse) -> None:
        lines = _lines(source)
        if isinstance(self.fault, Coalesce):
            lines = _coalesced(lines, self.fault.window_s)
        async for line in lines:
            if self.silent:
                break
            for _ in range(2 if isinstance(self.fault, Duplicate) else 1):
                await sink.write(line)
        if self.silent:
            await asyncio.Event().wait()  # a dead connection does not close either


async def _lines(source: ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in source.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"


async def _coalesced(lines: AsyncIterator[bytes], window_s: float) -> AsyncIterator[bytes]:
    """Events gathered for a window from the first on, each object's last one kept."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    reading = asyncio.ensure_future(_into(queue, lines))
    try:
        while (line := await queue.get()) is not None:
            await asyncio.sleep(window_s)
            held = [line]
            while not queue.empty():
                if (more := queue.get_nowait()) is None:
                    queue.put_nowait(None)
                    break
                held.append(more)
            for kept in _last_of_each(held):
                yield kept
    finally:
        reading.cancel()


async def _into(queue: asyncio.Queue[bytes | None], lines: AsyncIterator[bytes]) -> None:
    try:
        async for line in lines:
            queue.put_nowait(line)
    finally:
        queue.put_nowait(None)


def _last_of_each(lines: list[bytes]) -> list[bytes]:
    """An object that came and was changed has still come: its event stays ADDED."""
    last: dict[object, dict[str, object]] = {}
    for line in lines:
        event = json.loads(line)
        uid = event["object"].get("metadata", {}).get("uid", "bookmark")
        before = last.pop(uid, None)
        if before is not None and (before["type"], event["type"]) == ("ADDED", "MODIFIED"):
            event["type"] = "ADDED"
        last[uid] = event
    return [json.dumps(event).encode() + b"\n" for event in last.values()]
