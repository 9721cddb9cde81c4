"""Where one answer waits for its reader.

The engine thread never waits for a reader. Chunks that a reader has not fetched are merged into one
when it does, so what waits is bounded by the answer itself. A reader that wants the answer whole is
woken once, at its end.
"""

from collections import deque
from collections.abc import Callable

from dfastllm.core import Chunk

_CANVASES_KEPT = 64  # canvas states waiting for a slow reader; older ones are dropped


class Mailbox:
    """The `AnswerStream` of one request; lives on the event loop's thread."""

    def __init__(self, request_id: str, on_cancel: Callable[[str], None], *, whole: bool = False):
        self.request_id = request_id
        self._on_cancel = on_cancel
        self._whole = whole
        self._waiting: deque[Chunk] = deque()
        self._error: Exception | None = None
        self._finished = False
        self._wake: Callable[[], None] = lambda: None

    def put(self, item: Chunk | Exception) -> None:
        if isinstance(item, Exception):
            self._error = item
        else:
            self._waiting.append(item)
            if len(self._waiting) > _CANVASES_KEPT:
                self._shrink()
            if self._whole and item.finish_reason is None:
                return
        self._wake()

    def listen(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        if self._waiting or self._error is not None:
            wake()

    def take(self) -> Chunk | None:
        if not self._waiting:
            if self._error is not None and not self._finished:
                self._finished = True
                raise self._error
            return None
        chunks = [self._waiting.popleft()]
        while self._waiting and chunks[-1].canvas is None:
            chunks.append(self._waiting.popleft())
        chunk = chunks[0] if len(chunks) == 1 else _merge(chunks)
        self._finished = self._finished or chunk.finish_reason is not None
        return chunk

    def cancel(self) -> None:
        if not self._finished:
            self._on_cancel(self.request_id)

    def _shrink(self) -> None:
        """Merge the two oldest chunks when the older shows a canvas nobody will look at."""
        if self._waiting[0].canvas is not None:
            oldest = self._waiting.popleft()
            self._waiting[0] = _merge([oldest, self._waiting[0]])


def _merge(chunks: list[Chunk]) -> Chunk:
    last = chunks[-1]
    return Chunk(
        text="".join(chunk.text for chunk in chunks),
        tokens=tuple(token for chunk in chunks for token in chunk.tokens),
        finish_reason=last.finish_reason,
        stats=last.stats,
        canvas=last.canvas,
    )
