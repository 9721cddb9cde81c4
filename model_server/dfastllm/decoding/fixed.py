"""A fixed number of tokens per step, best-ranked first: the published loops of LLaDA and Dream.

End-of-text filler is ranked last, leftmost first: a trained model is surest of its filler, so a
quota would otherwise be spent on positions that are no answer.
"""

from collections.abc import Callable
from typing import ClassVar

import torch

from dfastllm.core import StrategyName
from dfastllm.decoding.strategy import BlockView, Choice, RowView, Strategy

_FILLER = -1e30  # below every score, above -inf


class Fixed(Strategy):
    """Commits `quota(row)` positions of each row by `score`."""

    name: ClassVar[str] = StrategyName.FIXED

    def __init__(self, quota: Callable[[RowView], int]):
        self._quota = quota

    def choose(self, view: BlockView) -> Choice:
        n_columns = view.masked.shape[1]
        column = torch.arange(n_columns, device=view.masked.device)
        last = _FILLER * (1 + column / n_columns)  # leftmost filler first
        score = torch.where(view.filler, last, view.score.clamp(min=_FILLER / 2))
        score = score.masked_fill(~view.masked, float("-inf"))
        quota = torch.tensor([self._quota(row) for row in view.rows], device=score.device)
        order = score.argsort(dim=-1, descending=True, stable=True)  # [R, B]
        rank = torch.empty_like(order).scatter_(-1, order, column.expand_as(order).contiguous())
        return Choice((rank < quota[:, None]) & view.masked)
