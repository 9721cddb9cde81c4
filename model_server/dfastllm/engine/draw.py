"""One draw for the open positions of all rows of a forward, whatever their parameters.

What a row draws depends on nothing but itself: its logits, its sampling, its seed and its step.
"""

from collections.abc import Sequence as Seq
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dfastllm.core import Remasking, SamplingParams
from dfastllm.decoding.candidates import Candidates, DrawParams, candidates
from dfastllm.decoding.noise import RANK_DRAW, TOKEN_DRAW, uniforms
from dfastllm.decoding.strategy import RowView, needs_shape_statistics
from dfastllm.engine.drafts import Verified
from dfastllm.engine.runner import PlannedRow
from dfastllm.models.spec import ModelSpec

_GREEDY = SamplingParams()


@dataclass(frozen=True, slots=True)
class Drawn:
    """Candidates of a forward with each row's offset into them and its view before the commit.

    `agreed`: where a verifier's target drew the candidate too.
    """

    found: Candidates
    score: Tensor
    offsets: list[int]
    views: list[RowView]
    agreed: Tensor


def draw(rows: Seq[PlannedRow], logits: Tensor, spec: ModelSpec, verified: Verified) -> Drawn:
    """Candidates of all rows; `logits` fp32 [K, V] are changed in place."""
    counts = [len(row.positions) for row in rows]
    offsets = np.concatenate([[0], np.cumsum(counts)]).tolist()
    params = [row.sequence.request.decoding for row in rows]
    found = candidates(
        logits,
        _draw_params(rows, counts, spec, verified, logits.device),
        forbidden=spec.forbidden_ids,
        confidence=spec.confidence,
        shape_statistics=any(needs_shape_statistics(p) for p in params),
        n_top=max(row.sequence.request.top_logprobs for row in rows),
        drafted=_spread_drafts(rows, verified, logits.device),
    )
    score = found.score
    if any(p.remasking is not Remasking.LOW_CONFIDENCE for p in params):
        score = torch.cat(
            [
                _score(row, found, s, e)
                for row, s, e in zip(rows, offsets, offsets[1:], strict=False)
            ]
        )
    agreed = torch.zeros_like(found.finite)
    for row, start in zip(rows, offsets, strict=False):
        if row.sequence in verified.drafts:
            judged = torch.from_numpy(verified.drafts[row.sequence].agreed)
            agreed[start : start + len(judged)] = judged.to(agreed.device)
    return Drawn(found, score, offsets, [row.sequence.view() for row in rows], agreed)


def _spread_drafts(
    rows: Seq[PlannedRow], verified: Verified, device: torch.device
) -> Tensor | None:
    """The drafted token of each position, -1 where none was; None when there are no drafts."""
    if not verified.drafts:
        return None
    parts = [
        verified.drafts[row.sequence].tokens
        if row.sequence in verified.drafts
        else np.full(len(row.positions), -1)
        for row in rows
    ]
    return torch.from_numpy(np.concatenate(parts)).to(device)


def _draw_params(
    rows: Seq[PlannedRow],
    counts: list[int],
    spec: ModelSpec,
    verified: Verified,
    device: torch.device,
) -> DrawParams | None:
    """Draw parameters per position; None when every row is greedy and unfiltered."""
    sampling = [
        _GREEDY if row.sequence in verified.drafts else row.sequence.request.sampling
        for row in rows
    ]
    if spec.confidence == "raw":  # filters change neither the argmax nor the raw confidence
        sampling = [_GREEDY if s.temperature == 0 else s for s in sampling]
    if all(s.temperature == 0 and s.top_k == 0 and s.top_p == 1 for s in sampling):
        return None
    draws = [
        uniforms(s.seed, row.positions, row.sequence.forwards, TOKEN_DRAW)
        for s, row in zip(sampling, rows, strict=True)
    ]

    def column(values: list[float], dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.repeat(values, counts), dtype=dtype, device=device)

    return DrawParams(
        temperature=column([s.temperature for s in sampling], torch.float32),
        top_p=column([s.top_p for s in sampling], torch.float32),
        top_k=column([s.top_k for s in sampling], torch.int64),
        uniform=torch.as_tensor(np.concatenate(draws), device=device),
    )


def _score(row: PlannedRow, found: Candidates, start: int, end: int) -> Tensor:
    """What the row's remasking ranks by, best highest; fp32 [end - start]."""
    kind = row.sequence.request.decoding.remasking
    if kind is Remasking.ENTROPY:
        return -found.entropy[start:end]
    if kind is Remasking.TOPK_MARGIN:
        return found.margin[start:end]
    if kind is Remasking.RANDOM:
        seed = row.sequence.request.sampling.seed
        draw = uniforms(seed, row.positions, row.sequence.forwards, RANK_DRAW)
        return torch.as_tensor(draw, dtype=torch.float32, device=found.score.device)
    return found.score[start:end]
