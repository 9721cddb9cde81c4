"""The interface of a decoding rule, and what it sees.

A strategy is pure: it receives the block of each of its rows as [R, B] tensors and says which
positions to commit. It knows neither the scheduler, nor the cache, nor other strategies. Rules that
need more have these hooks: `feed` (the positions fed next, also extra ones, also causal), `start`
(state of one row, kept by the engine between its steps and handed back in `BlockView.state`),
`Choice.revoke` (masks again; such a rule sets `revokes`, and text waits until the block ends),
`sequential` (no blocks: the canvas is filled from left to right), `verifies` (drafts go through a
second model before `choose`, which finds its judgement in `BlockView.agreed`). ADR 0002 sketches
WINO and DAEDAL against it, ADR 0007 says how APD uses it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from dfastllm.cache.policy import Feed
from dfastllm.core import DecodingParams, Remasking


@dataclass(frozen=True, slots=True)
class RowView:
    """One row's progress, in host numbers.

    `masks_at_start` and `masks_left` count masked positions of the block; `step` counts the
    forwards since the block was entered, `steps` is the block's share of the request's steps.
    `start` is the block's first position in the row, `recent` how many positions the last step
    committed.
    """

    params: DecodingParams
    step: int
    steps: int
    masks_at_start: int
    masks_left: int
    start: int = 0
    recent: int = 0


@dataclass(frozen=True, slots=True)
class BlockView:
    """The active blocks of R rows after a forward, padded to the longest, B.

    `masked` bool: open positions; `token` int64: their candidates; `confidence`, `score` fp32:
    -inf where not masked (`score` is what the row's remasking ranks by, `confidence` the
    probability); `filler` bool: the candidate is end-of-text filler. `rows` are host numbers,
    `state` what `Strategy.start` made for each row. `agreed` bool, for rules that verify: the
    target drew the candidate as well.
    """

    masked: Tensor
    token: Tensor
    confidence: Tensor
    score: Tensor
    filler: Tensor
    rows: Sequence[RowView]
    state: Sequence[Any]
    agreed: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a strategy decided: bool [R, B] positions to commit, and to mask again."""

    commit: Tensor
    revoke: Tensor | None = None


class Strategy(ABC):
    """A decoding rule.

    Commits at least one position per row and call, unless it `may_idle`; the engine fails a row
    whose rule breaks that promise rather than let it run for ever. The block of a `sequential` rule
    is all that is masked: it begins at the first open position and moves with every commit.
    """

    name: ClassVar[str]
    revokes: ClassVar[bool] = False
    may_idle: ClassVar[bool] = False
    sequential: ClassVar[bool] = False
    verifies: ClassVar[bool] = False

    @abstractmethod
    def choose(self, view: BlockView) -> Choice:
        """Pick the positions to commit; `view` and the result are on the model's device."""

    def start(self, params: DecodingParams) -> Any:
        """State of a new row; None for rules without any."""
        return None

    def feed(self, row: RowView, default: Feed) -> Feed:
        """The positions to feed next; by default what the row's cache kind says.

        A rule that says otherwise keeps the default's `causal_until` and never feeds beyond its
        end, so that models that read their context causally see what they were trained on.
        """
        return default


def needs_shape_statistics(params: DecodingParams) -> bool:
    """Whether the row's ranking needs entropy or margin, which cost another pass over logits."""
    return params.remasking in (Remasking.ENTROPY, Remasking.TOPK_MARGIN)
