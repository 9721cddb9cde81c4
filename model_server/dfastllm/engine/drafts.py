"""Drafts of adaptive parallel decoding: what a row proposes, and what of it is to be judged."""

from collections.abc import Sequence as Seq
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dfastllm.cache.policy import Feed
from dfastllm.core import SamplingParams
from dfastllm.decoding.apd import Coupling
from dfastllm.decoding.candidates import Filters
from dfastllm.decoding.noise import token_keys
from dfastllm.engine.runner import Forwarded, PlannedRow
from dfastllm.engine.sequence import Sequence
from dfastllm.errors import RowFailed

_GREEDY = SamplingParams()


@dataclass(frozen=True, slots=True)
class Draft:
    """What a row drafted, and where the target drew the same: int64 and bool, one per position.

    Only the first `length` tokens count; behind them the turn has ended.
    """

    tokens: np.ndarray
    agreed: np.ndarray
    length: int


@dataclass(slots=True)
class Verified:
    """Drafts by row; rows that failed, with the reason; and what went through the verifier."""

    drafts: dict[Sequence, Draft] = field(default_factory=dict)
    failed: dict[Sequence, RowFailed] = field(default_factory=dict)
    forwards: int = 0
    fed_tokens: int = 0


def verifying_rows(part: Forwarded) -> tuple[list[PlannedRow], Tensor]:
    """The rows whose rule verifies, and their places in the logits."""
    rows, places, start = [], [np.empty(0, dtype=np.int64)], 0
    for row in part.rows:
        end = start + len(row.positions)
        if row.sequence.strategy.verifies:
            rows.append(row)
            places.append(np.arange(start, end))
        start = end
    return rows, torch.from_numpy(np.concatenate(places)).to(part.logits.device)


def draft_length(sequence: Sequence, tokens: np.ndarray, eos_ids: tuple[int, ...]) -> int:
    """Up to the end of the turn: what is drafted behind it can never be accepted."""
    if sequence.request.ignore_eos:
        return len(tokens)
    ends = np.flatnonzero(np.isin(tokens, eos_ids))
    return int(ends[0]) + 1 if len(ends) else len(tokens)


def unjudged(sequence: Sequence, tokens: np.ndarray, length: int) -> Draft:
    """Nothing but the first token stands, unless the target is the drafter's own distribution."""
    agreed = np.zeros(len(tokens), dtype=bool)
    agreed[: length if sequence.request.decoding.r == 1 else 1] = True
    return Draft(tokens, agreed, length)


def verifier_row(row: PlannedRow, tokens: np.ndarray) -> PlannedRow:
    """The verifier's feed: the row's own tokens that are not kept, then its draft but the last."""
    sequence, kv = row.sequence, row.sequence.verification.kv
    first = int(row.positions[0])
    end = first + len(tokens) - 1
    feed = Feed(kv.kept, end, end, refresh=False, store=True, causal_until=end)
    return PlannedRow(
        sequence,
        feed,
        row.positions[1 : len(tokens)],
        np.concatenate([sequence.tokens[kv.kept : first], tokens[:-1]]),
        kv.pages,
    )


def coupling_of(rows: Seq[PlannedRow], device: torch.device) -> Coupling:
    """How every position of the rows draws."""
    counts = [len(row.positions) for row in rows]
    given = [row.sequence.request.sampling for row in rows]
    # Filters change nothing where the most probable token is taken.
    sampling = [_GREEDY if s.temperature == 0 else s for s in given]
    keys = [
        token_keys(s.seed, row.positions, row.sequence.forwards)
        for s, row in zip(given, rows, strict=True)
    ]

    def column(values: list[float], dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.repeat(values, counts), dtype=dtype, device=device)

    return Coupling(
        Filters(
            temperature=column([s.temperature for s in sampling], torch.float32),
            top_p=column([s.top_p for s in sampling], torch.float32),
            top_k=column([s.top_k for s in sampling], torch.int64),
        ),
        keys=torch.from_numpy(np.concatenate(keys)).to(device),
        r=column([row.sequence.request.decoding.r for row in rows], torch.float32),
    )
