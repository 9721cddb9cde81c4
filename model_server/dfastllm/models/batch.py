"""Many rows' segments packed into one forward.

A segment is a contiguous stretch of one row's positions with the K/V it reads; rows of different
prompt lengths, blocks and cache states share a call. Segments of equal shape are packed side by
side, so that attention runs once per shape and every group is a slice, not a gather.

On a GPU a call costs more than what it computes, and rows that run long enough are all of different
shapes: there, segments that keep their K/V and are of similar length are filled up to one shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import slots

_FILLED = 63  # segments up to this length count as similar


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

    def split(self) -> tuple["Segment", "Segment"]:
        """Its causal positions, with no output wanted, and the others, as `Feed.split` has them.

        All outputs wanted must be of the others.
        """
        first, second = self.feed.split()
        at = first.n_tokens
        return (
            Segment(self.tokens[:at], first, self.logit_positions[:0], self.pages),
            Segment(self.tokens[at:], second, self.logit_positions, self.pages),
        )

    @property
    def shape(self) -> tuple[int, int, bool, int]:
        """Query length, K/V length, whether K/V come from this call alone, causal rows."""
        own = self.feed.start == 0 and self.feed.end == self.feed.kv_len
        return (self.feed.n_tokens, self.feed.kv_len, own, self.feed.n_causal)


@dataclass(frozen=True, slots=True)
class AttentionGroup:
    """Rows [start, end) of the packed batch that share one attention call.

    `kv_slots` int64 [n_rows * kv_len] are the slots read; None means the group's own fresh K/V.
    `mask` bool [query length, kv_len], [n_rows, 1, ...] where rows were filled up, is what each
    position sees; None means everything. `filled` int64 [n_rows * query length] are then the rows
    of the batch that ask, fillers among them, and `own` int64 [end - start] those that count.
    """

    start: int
    end: int
    n_rows: int
    kv_slots: torch.Tensor | None
    mask: torch.Tensor | None
    filled: torch.Tensor | None = None
    own: torch.Tensor | None = None


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


def pack(
    segments: Sequence[Segment], device: torch.device, *, fill: bool | None = None
) -> ForwardBatch:
    """Pack segments into one batch on `device`; raises ValueError when there are none.

    `fill` says whether similar segments are filled up to one shape: by default on a GPU.
    """
    if not segments:
        raise ValueError("pack: no segments")
    fill = device.type == "cuda" if fill is None else fill
    order = sorted(
        range(len(segments)), key=lambda i: (fill and segments[i].feed.store, segments[i].shape)
    )
    offsets = [0] * len(segments)
    groups: list[AttentionGroup] = []
    store_rows: list[np.ndarray] = []
    store_slots: list[np.ndarray] = []
    at = 0
    for members in _runs(order, segments, fill):
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


def _runs(order: list[int], segments: Sequence[Segment], fill: bool) -> list[list[int]]:
    runs: list[list[int]] = []
    for i in order:
        if runs and _go_together(segments[runs[-1][0]], segments[i], fill):
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def _go_together(one: Segment, other: Segment, fill: bool) -> bool:
    """Of one shape, or with K/V in the pool and of lengths that differ by less than twice."""
    if one.shape == other.shape and (not fill or one.feed.store == other.feed.store):
        return True
    sizes = [max(s.feed.n_tokens, _FILLED).bit_length() for s in (one, other)]
    return fill and one.feed.store and other.feed.store and sizes[0] == sizes[1]


def _group(start: int, end: int, members: list[Segment], device: torch.device) -> AttentionGroup:
    if any(member.shape != members[0].shape for member in members):
        return _filled_group(start, end, [member.feed for member in members],
                             [member.pages for member in members], device)  # fmt: skip
    q_len, kv_len, own, n_causal = members[0].shape
    kv_slots = None if own else _tensor([slots(s.pages, 0, kv_len) for s in members], device)
    mask = _mask(q_len, kv_len, n_causal, device) if n_causal else None
    return AttentionGroup(start, end, len(members), kv_slots, mask)


def _filled_group(
    start: int, end: int, feeds: Sequence[Feed], pages: Sequence[tuple[int, ...]],
    device: torch.device,
) -> AttentionGroup:  # fmt: skip
    """Rows of different shapes as the largest of them; what fills them up counts nowhere."""
    lengths = np.array([feed.n_tokens for feed in feeds])  # [n]
    kv_lengths = np.array([feed.kv_len for feed in feeds])
    n, q_len, kv_len = len(feeds), int(lengths.max()), int(kv_lengths.max())
    read = np.zeros((n, kv_len), dtype=np.int64)
    for row, feed, own in zip(read, feeds, pages, strict=True):
        row[: feed.kv_len] = slots(own, 0, feed.kv_len)
        row[feed.kv_len :] = row[0]
    first = start + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    at = np.arange(q_len)
    asked = first[:, None] + np.minimum(at[None, :], lengths[:, None] - 1)  # [n, q_len]
    real = np.flatnonzero(at[None, :] < lengths[:, None])
    starts, kv, causal = (
        _tensor([np.array(values)], device)[:, None, None]
        for values in ([f.start for f in feeds], kv_lengths, [f.n_causal for f in feeds])
    )
    ask = torch.arange(q_len, device=device)[None, :, None]
    seen = torch.arange(kv_len, device=device)[None, None, :]
    mask = (seen < kv) & ((ask >= causal) | (seen <= starts + ask))  # [n, q_len, kv_len]
    return AttentionGroup(
        start, end, n, _tensor([read.ravel()], device), mask[:, None],
        _tensor([asked.ravel()], device), _tensor([real], device),
    )  # fmt: skip


def _mask(q_len: int, kv_len: int, n_causal: int, device: torch.device) -> torch.Tensor:
    """The first rows see positions up to their own (the last row is kv_len - 1), the others all."""
    mask = torch.ones(q_len, kv_len, dtype=torch.bool, device=device).tril_(kv_len - q_len)
    mask[n_causal:] = True
    return mask


def _tensor(parts: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64, copy=False)).to(
        device, non_blocking=True
    )
