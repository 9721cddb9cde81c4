"""The only door to the device: planned rows in, logits out, faults kept to the rows they belong to.

A forward that fails for many rows is tried again on halves, down to single rows: memory that does
not suffice for eight rows may suffice for four, and a row that breaks the forward breaks it alone.
Repeating is safe, since a row's K/V are written at the positions it feeds.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import KVPool
from dfastllm.engine.sequence import Sequence
from dfastllm.errors import RowFailed
from dfastllm.models.batch import Segment, pack
from dfastllm.models.transformer import Transformer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row of the next forward: what it feeds and the masked positions it wants logits for."""

    sequence: Sequence
    feed: Feed
    positions: np.ndarray


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Rows that went through one forward; logits fp32 [K, V] in the order of their positions."""

    rows: list[PlannedRow]
    logits: torch.Tensor


class Runner:
    """Owns the model and its K/V memory."""

    def __init__(self, model: Transformer, pool: KVPool, shift: int):
        self.pool = pool
        self._model = model
        self._shift = shift  # logits of position p stand in row p - shift
        self._device = next(model.parameters()).device

    @property
    def device(self) -> torch.device:
        return self._device

    def forward(
        self, rows: list[PlannedRow]
    ) -> tuple[list[Forwarded], list[tuple[Sequence, RowFailed]]]:
        """One forward, or several where one fails; rows failing alone come back with the reason."""
        try:
            batch = pack([self._segment(row) for row in rows], self._device)
            return [Forwarded(rows, self._model(batch, self.pool))], []
        except Exception as error:
            release_memory(error, self._device)
            if len(rows) == 1:
                return [], [(rows[0].sequence, row_failure(error, rows[0].sequence))]
            _log.warning("forward of %d rows failed, trying halves: %s", len(rows), error)
        done, failed = self.forward(rows[: len(rows) // 2])
        more, broken = self.forward(rows[len(rows) // 2 :])
        return done + more, failed + broken

    def _segment(self, row: PlannedRow) -> Segment:
        return Segment(
            tokens=row.sequence.tokens[row.feed.start : row.feed.end],
            feed=row.feed,
            logit_positions=row.positions - self._shift,
            pages=row.sequence.pages,
        )


def release_memory(error: Exception, device: torch.device) -> None:
    """Make room after an out-of-memory error; raise when the device itself is broken.

    After an illegal access every later call fails too: no row is to blame, and the process must be
    replaced, so the error goes up and ends the engine.
    """
    if device.type != "cuda":
        return
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
    torch.cuda.synchronize(device)


def row_failure(error: Exception, sequence: Sequence) -> RowFailed:
    """What the caller of a row that failed alone is told; the log gets the whole error."""
    request_id = sequence.request.request_id
    if isinstance(error, torch.OutOfMemoryError):
        _log.error("request %s does not fit into device memory: %s", request_id, error)
        return RowFailed("the request does not fit into device memory; ask for fewer tokens")
    _log.exception("the model failed on request %s", request_id, exc_info=error)
    return RowFailed("the model failed on this request")
