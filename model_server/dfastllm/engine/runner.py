"""The only door to a model: planned rows in, logits out, faults kept to the rows they belong to.

A forward that fails for many rows is tried again on halves, down to single rows: memory that does
not suffice for eight rows may suffice for four, and a row that breaks the forward breaks it alone.
Repeating is safe, since a row's K/V are written at the positions it feeds.

A model whose context another network reads has two forwards here: that network's over what is new
in the context, which leaves K/V and no logits, then the model's own over the blocks. Both write to
the row's pages; what the model left of its block is overwritten once that has become context.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import PAGE_TOKENS, KVPool
from dfastllm.engine.sequence import Sequence
from dfastllm.errors import RowFailed
from dfastllm.models.batch import Segment, pack
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.transformer import Transformer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row of the next forward: what it feeds and the masked positions it wants logits for.

    `tokens` int64 are the ids fed, `pages` the row's K/V pages in the memory of this model.
    """

    sequence: Sequence
    feed: Feed
    positions: np.ndarray
    tokens: np.ndarray
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Rows that went through one forward; logits fp32 [K, V] in the order of their positions."""

    rows: list[PlannedRow]
    logits: torch.Tensor


class Runner:
    """Runs a model over its K/V memory.

    `shift`: logits of position p stand in row p - shift. They are over `vocab_size` tokens, those
    that the model lacks at minus infinity, with each row's `logit_bias` added. `context` reads what
    feeds mark as causal, if that is not the model's own part; its K/V have the model's shape.
    """

    def __init__(
        self,
        model: Transformer[NetworkSpec],
        pool: KVPool,
        *,
        shift: int,
        vocab_size: int,
        context: Transformer[NetworkSpec] | None = None,
    ):
        self.pool = pool
        self._model = model
        self._context = context
        self._shift = shift
        self._vocab_size = vocab_size
        self._device = model.embed.weight.device

    @property
    def device(self) -> torch.device:
        return self._device

    def forward(
        self, rows: list[PlannedRow]
    ) -> tuple[list[Forwarded], list[tuple[Sequence, RowFailed]]]:
        """One forward, or several where one fails; rows failing alone come back with the reason."""
        try:
            logits = self._fitted(self._logits([self._segment(row) for row in rows]))
            _add_bias(rows, logits)
            return [Forwarded(rows, logits)], []
        except Exception as error:
            release_memory(error, self._device)
            if len(rows) == 1:
                return [], [(rows[0].sequence, row_failure(error, rows[0].sequence))]
            _log.warning("forward of %d rows failed, trying halves: %s", len(rows), error)
        done, failed = self.forward(rows[: len(rows) // 2])
        more, broken = self.forward(rows[len(rows) // 2 :])
        return done + more, failed + broken

    def _logits(self, segments: list[Segment]) -> torch.Tensor:
        if self._context is not None:
            parts = [segment.split() for segment in segments]
            unread = [context for context, _ in parts if len(context.tokens)]
            if unread:
                self._context(pack(unread, self._device), self.pool)
            segments = [block for _, block in parts]
        logits: torch.Tensor = self._model(pack(segments, self._device), self.pool)
        return logits

    def _segment(self, row: PlannedRow) -> Segment:
        return Segment(row.tokens, row.feed, row.positions - self._shift, row.pages)

    def _fitted(self, logits: torch.Tensor) -> torch.Tensor:
        surplus = logits.shape[-1] - self._vocab_size
        if surplus >= 0:
            return logits[:, : self._vocab_size] if surplus else logits
        return F.pad(logits, (0, -surplus), value=float("-inf"))


def kv_pool(model: Transformer[NetworkSpec], kv_cache_tokens: int) -> KVPool:
    """Memory for a model's K/V, in its number format and on its device."""
    spec, weight = model.spec, model.embed.weight
    return KVPool(
        n_layers=spec.n_layers,
        n_pages=kv_cache_tokens // PAGE_TOKENS,
        n_kv_heads=spec.n_kv_heads,
        head_dim=spec.head_dim,
        dtype=weight.dtype,
        device=weight.device,
    )


def _add_bias(rows: list[PlannedRow], logits: torch.Tensor) -> None:
    start = 0
    for row in rows:
        end = start + len(row.positions)
        for token, bias in row.sequence.request.sampling.logit_bias:
            logits[start:end, token] += bias
        start = end


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
