"""Parallel commits by confidence: the threshold and the factor rule of Fast-dLLM.

Both always commit the surest position, so every forward makes progress (arXiv 2505.22618,
section 3.3 and algorithm 1).
"""

from typing import ClassVar

import torch
from torch import Tensor

from dfastllm.core import StrategyName
from dfastllm.decoding.strategy import BlockView, Choice, Strategy


class Threshold(Strategy):
    """Commits every position at least as sure as the row's threshold, and the surest."""

    name: ClassVar[str] = StrategyName.THRESHOLD

    def choose(self, view: BlockView) -> Choice:
        threshold = _column(view, [row.params.threshold for row in view.rows])
        return Choice(((view.confidence >= threshold) | _surest(view)) & view.masked)


class Factor(Strategy):
    """Commits the n surest positions while (n + 1)(1 - c_n) <= factor, and the surest.

    c_n is the n-th highest confidence: the more positions are taken at once, the surer each must
    be for the product of marginals to agree with the joint distribution (theorem 1 there).
    """

    name: ClassVar[str] = StrategyName.FACTOR

    def choose(self, view: BlockView) -> Choice:
        factor = _column(view, [row.params.factor for row in view.rows])
        ordered, order = view.confidence.sort(dim=-1, descending=True, stable=True)  # [R, B]
        n = torch.arange(1, ordered.shape[1] + 1, device=ordered.device)
        holds = (n + 1) * (1 - ordered) <= factor
        holds[:, 0] = True
        taken = holds.to(torch.int8).cumprod(-1).bool()
        commit = torch.zeros_like(taken).scatter_(-1, order, taken)
        return Choice(commit & view.masked)


def _surest(view: BlockView) -> Tensor:
    best = view.confidence.argmax(-1, keepdim=True)  # [R, 1]
    return torch.zeros_like(view.masked).scatter_(-1, best, True)


def _column(view: BlockView, values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=view.confidence.dtype, device=view.confidence.device)[:, None]
