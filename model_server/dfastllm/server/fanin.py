"""Several answers on their way, read as one, until the caller goes away.

Every way out of the `async with` block cancels what is unfinished: an error of one answer, a
disconnect, the cancellation of the request's task. What a slow reader does not fetch stays with the
answers, which merge it.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType

from starlette.types import Receive

from dfastllm.core import Chunk
from dfastllm.errors import Cancelled
from dfastllm.server.context import AnswerStream

Batch = list[tuple[int, Chunk]]


class FanIn:
    """Iterate it for batches of (index of the answer, chunk), in order of each answer.

    An empty batch means that nothing came for `silence_s` seconds. The first error of any answer
    is raised after what came before it; a disconnect is raised as `Cancelled`, at once.
    """

    def __init__(
        self, streams: Sequence[AnswerStream], receive: Receive, silence_s: float | None = None
    ):
        self._streams = streams
        self._receive = receive
        self._silence_s = silence_s
        self._unfinished = list(range(len(streams)))
        self._failure: Exception | None = None
        self._silent = False
        self._gone = False
        self._wake = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "FanIn":
        self._watcher = asyncio.create_task(self._watch())
        for stream in self._streams:
            stream.listen(self._wake.set)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cancel_unfinished()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    def __aiter__(self) -> "FanIn":
        return self

    async def __anext__(self) -> Batch:
        while True:
            self._wake.clear()
            if self._gone:
                raise Cancelled("the caller went away")
            if self._failure is not None:
                raise self._failure
            if not self._unfinished:
                raise StopAsyncIteration
            if batch := self._collect():
                return batch
            if self._failure is None and self._unfinished and not await self._news():
                return []

    def _collect(self) -> Batch:
        """Everything that arrived. An error waits until what came before it was handed out."""
        batch: Batch = []
        for index in tuple(self._unfinished):
            try:
                while (chunk := self._streams[index].take()) is not None:
                    batch.append((index, chunk))
                    if chunk.finish_reason is not None:
                        self._unfinished.remove(index)
                        break
            except Exception as error:
                self._unfinished.remove(index)
                self._failure = self._failure or error
        return batch

    async def _news(self) -> bool:
        """Wait until something arrives, fails or ends; False after the longest silence allowed."""
        if self._silence_s is None:
            await self._wake.wait()
            return True
        self._silent = False
        timer = asyncio.get_running_loop().call_later(self._silence_s, self._fall_silent)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        return not self._silent

    def _fall_silent(self) -> None:
        self._silent = True
        self._wake.set()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cancel_unfinished()
        self._gone = True
        self._wake.set()

    def _cancel_unfinished(self) -> None:
        for index in self._unfinished:
            self._streams[index].cancel()
