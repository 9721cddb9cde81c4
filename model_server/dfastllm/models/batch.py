"""Many rows' segments packed into one forward.

A segment is a contiguous stretch of one row's positions with the K/V it reads; rows of different
prompt lengths, blocks and cache states share a call. Segments of equal shape are packed side by
side, so that attention runs once per shape and every group is a slice, not a gather.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import slots


@dataclass(frozen=True, slots=True)
class Segment:
    """One row's part of a forward.

    `tokens` int64 [feed.n_tokens] are the ids fed; `logit_positions` int64 are the row's positions
    whose raw output rows are wanted, all inside the feed; `pages` the row's page table (empty when
    the row keeps no K/V).
    """

    tokens: np.ndarray
    feed: Feed
    logit_positions: np.ndarray
    pages: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, int, bool, bool]:
        """Query length, K/V length, whether K/V come from this call alone, causal."""
        own = self.feed.start == 0 and self.feed.end == self.feed.kv_len
        return (self.feed.n_tokens, self.feed.kv_len, own, self.feed.causal)


@dataclass(frozen=True, slots=True)
class AttentionGroup:
    """Rows [start, end) of the packed batch that share one attention call.

    `kv_slots` int64 [n_rows * kv_len] are the slots read; None means the group's own fresh K/V.
    """

    start: int
    end: int
    n_rows: int
    kv_slots: torch.Tensor | None
    causal: bool


@dataclass(frozen=True, slots=True)
class ForwardBatch:
    """One packed forward of T tokens.

    `token_ids` and `positions` int64 [T]; `logit_rows` int64 [K] index into T, in the order of the
    segments given and within each of its `logit_positions`; `store_rows`/`store_slots` int64 [W]
    say which fresh K/V go where (None: nothing is stored).
    """

    token_ids: torch.Tensor
    positions: torch.Tensor
    logit_rows: torch.Tensor
    groups: tuple[AttentionGroup, ...]
    store_rows: torch.Tensor | None
    store_slots: torch.Tensor | None

    @property
    def n_tokens(self) -> int:
        return self.token_ids.shape[0]


def pack(segments: Sequence[Segment], device: torch.device) -> ForwardBatch:
    """Pack segments into one batch on `device`; raises ValueError when there are none."""
    if not segments:
        raise ValueError("pack: no segments")
    order = sorted(range(len(segments)), key=lambda i: segments[i].shape)
    offsets = [0] * len(segments)
    groups: list[AttentionGroup] = []
    store_rows: list[np.ndarray] = []
    store_slots: list[np.ndarray] = []
    at = 0
    for members in _runs(order, segments):
        start = at
        for i in members:
            segment = segments[i]
            offsets[i] = at
            if segment.feed.store:
                store_rows.append(np.arange(at, at + segment.feed.n_tokens))
                store_slots.append(slots(segment.pages, segment.feed.start, segment.feed.end))
            at += segment.feed.n_tokens
        groups.append(_group(start, at, [segments[i] for i in members], device))
    packed = [segments[i] for i in order]
    return ForwardBatch(
        token_ids=_tensor([s.tokens for s in packed], device),
        positions=_tensor([np.arange(s.feed.start, s.feed.end) for s in packed], device),
        logit_rows=_tensor(
            [s.logit_positions - s.feed.start + o for s, o in zip(segments, offsets, strict=True)],
            device,
        ),
        groups=tuple(groups),
        store_rows=_tensor(store_rows, device) if store_rows else None,
        store_slots=_tensor(store_slots, device) if store_slots else None,
    )


def _runs(order: list[int], segments: Sequence[Segment]) -> list[list[int]]:
    runs: list[list[int]] = []
    for i in order:
        if runs and segments[runs[-1][0]].shape == segments[i].shape:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def _group(start: int, end: int, members: list[Segment], device: torch.device) -> AttentionGroup:
    _, kv_len, own, causal = members[0].shape
    kv_slots = None if own else _tensor([slots(s.pages, 0, kv_len) for s in members], device)
    return AttentionGroup(start, end, len(members), kv_slots, causal)


def _tensor(parts: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64, copy=False)).to(
        device, non_blocking=True
    )
