"""Several answers on their way, read as one, until the caller goes away.

Every way out of the `async with` block cancels what is unfinished: an error of one answer, a
disconnect, the cancellation of the request's task.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType

from starlette.types import Receive

from dfastllm.core import Chunk
from dfastllm.errors import Cancelled, RowFailed
from dfastllm.server.context import AnswerStream

Batch = list[tuple[int, Chunk]]

_SLOW_READER = 64  # chunks waiting to be written; more wait with the engine, which merges them


class FanIn:
    """Iterate it for batches of (index of the answer, chunk), in order of arrival.

    An empty batch means that nothing came for `silence_s` seconds. The first error of any answer
    is raised after what came before it; a disconnect is raised as `Cancelled`, at once.
    """

    def __init__(
        self, streams: Sequence[AnswerStream], receive: Receive, silence_s: float | None = None
    ):
        self._streams = streams
        self._receive = receive
        self._silence_s = silence_s
        self._unfinished = set(range(len(streams)))
        self._arrived: Batch = []
        self._failure: Exception | None = None
        self._silent = False
        self._gone = False
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "FanIn":
        self._tasks = [asyncio.create_task(self._watch())]
        for index, stream in enumerate(self._streams):
            self._tasks.append(asyncio.create_task(self._pump(index, stream)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cancel_unfinished()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __aiter__(self) -> "FanIn":
        return self

    async def __anext__(self) -> Batch:
        while not self._arrived and self._failure is None and self._unfinished:
            if not await self._news():
                return []
        if self._gone:
            raise Cancelled("the caller went away")
        if self._arrived:
            batch, self._arrived = self._arrived, []
            self._drained.set()
            return batch
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def _news(self) -> bool:
        """Wait until something arrives, fails or ends; False after the longest silence allowed."""
        self._wake.clear()
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

    async def _pump(self, index: int, stream: AnswerStream) -> None:
        finished = False
        try:
            async for chunk in stream:
                await self._put(index, chunk)
                finished = finished or chunk.finish_reason is not None
            if not finished:
                raise RowFailed("an answer ended without a reason")
        except Exception as error:
            self._fail(error)
        else:
            self._unfinished.discard(index)
        finally:
            self._wake.set()

    async def _put(self, index: int, chunk: Chunk) -> None:
        self._arrived.append((index, chunk))
        self._wake.set()
        if len(self._arrived) >= _SLOW_READER:
            self._drained.clear()
            await self._drained.wait()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._wake.set()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cancel_unfinished()
        self._gone = True
        self._fail(Cancelled("the caller went away"))

    def _cancel_unfinished(self) -> None:
        for index in self._unfinished:
            self._streams[index].cancel()
