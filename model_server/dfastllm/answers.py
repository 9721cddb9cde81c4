"""One answer on its way out of the engine: token deltas in, readable chunks out.

Used by the async service and by the offline `LLM`, so both cut stop strings at the same place.
"""

from dataclasses import replace

from dfastllm.core import CanvasState, Chunk, Delta, FinishReason, Request
from dfastllm.text import TextAssembler
from dfastllm.tokenizer import Tokenizer

MASK_TEXT = "\u2591"  # light shade: a position still open


class Answer:
    """Assembles the text of one request."""

    def __init__(self, request: Request, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._text = TextAssembler(tokenizer, request.stop, request.skip_special_tokens)
        self._kept = 0  # tokens of the answer so far
        self._steps = 0

    def feed(self, delta: Delta) -> tuple[Chunk, bool]:
        """The chunk a delta makes, and whether a stop string ended the text in it.

        A stopped answer's chunk has no `stats` yet unless the delta ended the row anyway: the
        caller ends the row and passes what the engine says to `close`.
        """
        self._steps += 1
        update = self._text.feed([t.token for t in delta.tokens], final=delta.done)
        tokens = delta.tokens[: update.consumed_tokens]
        self._kept += len(tokens)
        canvas = self._canvas(delta.canvas)
        if not update.stopped:
            reason = delta.finish_reason
            return Chunk(update.text, tokens, reason, delta.stats, canvas), False
        stats = replace(delta.stats, completion_tokens=self._kept) if delta.stats else None
        chunk = Chunk(update.text, tokens, FinishReason.STOP, stats, canvas)
        return chunk, stats is None

    def close(self, chunk: Chunk, ended: Delta) -> Chunk:
        """`chunk` with the statistics of the row that was ended for its stop string."""
        stats = ended.stats
        assert stats is not None, "the last delta of a row carries its statistics"
        return replace(chunk, stats=replace(stats, completion_tokens=self._kept))

    def _canvas(self, ids: tuple[int, ...] | None) -> CanvasState | None:
        if ids is None:
            return None
        text, run = [], list[int]()
        for token in (*ids, self._tokenizer.mask_id):
            if token != self._tokenizer.mask_id:
                run.append(token)
                continue
            text.append(self._tokenizer.decode(run) + MASK_TEXT if run else MASK_TEXT)
            run = []
        return CanvasState(self._steps, ids, "".join(text)[: -len(MASK_TEXT)])
