"""Where one answer waits for its reader.

The engine thread never waits for a reader. Chunks that a slow reader has not fetched are merged
into one, so what waits is bounded by the answer itself.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from dfastllm.core import Chunk

_CANVASES_KEPT = 64  # canvas states waiting for a slow reader; older ones are dropped


class Mailbox:
    """The `AnswerStream` of one request; lives on the event loop's thread."""

    def __init__(self, request_id: str, on_cancel: Callable[[str], None]):
        self.request_id = request_id
        self._on_cancel = on_cancel
        self._waiting: deque[Chunk] = deque()
        self._error: Exception | None = None
        self._finished = False
        self._arrived = asyncio.Event()

    def put(self, item: Chunk | Exception) -> None:
        if isinstance(item, Exception):
            self._error = item
        else:
            self._waiting.append(item)
            self._shrink()
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while not self._finished:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                chunk = self._take()
                self._finished = chunk.finish_reason is not None
                yield chunk
            if self._error is not None:
                self._finished = True
                raise self._error

    def cancel(self) -> None:
        if not self._finished:
            self._on_cancel(self.request_id)

    def _take(self) -> Chunk:
        """The next chunk: everything waiting, up to the first canvas, merged."""
        chunk = self._waiting.popleft()
        while self._waiting and chunk.canvas is None:
            chunk = _merge(chunk, self._waiting.popleft())
        return chunk

    def _shrink(self) -> None:
        if len(self._waiting) > _CANVASES_KEPT and self._waiting[0].canvas is not None:
            oldest = self._waiting.popleft()
            self._waiting[0] = _merge(oldest, self._waiting[0])


def _merge(first: Chunk, second: Chunk) -> Chunk:
    return Chunk(
        text=first.text + second.text,
        tokens=first.tokens + second.tokens,
        finish_reason=second.finish_reason,
        stats=second.stats,
        canvas=second.canvas,
    )
