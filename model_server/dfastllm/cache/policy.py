"""What a row feeds in its next forward: the segment pass of each cache kind, as a pure function.

Prefix and dual cache are those of Fast-dLLM (arXiv 2505.22618, section 3.2): the first forward of a
block feeds everything and refreshes the K/V of every position; the others reuse what they do not
feed. With `lead` 1 (models whose logits at p-1 predict p) one more position on the left is fed, so
that the block's first position has its logits too.
"""

from dataclasses import dataclass

from dfastllm.core import CacheKind


@dataclass(frozen=True, slots=True)
class Feed:
    """Feed positions [start, end) and attend over [0, kv_len).

    `refresh`: everything is fed, nothing is reused. `store`: fresh K/V go to the row's pages.
    `causal`: a position sees nothing right of itself inside the segment.
    """

    start: int
    end: int
    kv_len: int
    refresh: bool
    store: bool
    causal: bool = False

    @property
    def n_tokens(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Decides the feed of a row from its cache kind, its block and whether its K/V are fresh."""

    lead: int = 0

    def plan(self, kind: CacheKind, block: tuple[int, int], length: int, fresh: bool) -> Feed:
        """The next feed of a row.

        `block` is [start, end) in positions of the row, `length` the row's whole length; `fresh`
        says that a refresh took place since the block was entered.
        """
        if kind is CacheKind.NONE:
            return Feed(0, length, length, refresh=True, store=False)
        if not fresh:
            return Feed(0, length, length, refresh=True, store=True)
        start = max(block[0] - self.lead, 0)
        end = block[1] if kind is CacheKind.DUAL else length
        return Feed(start, end, length, refresh=False, store=True)
