"""What a row feeds in its next forward: the segment pass of each cache kind, as a pure function.

Prefix and dual cache are those of Fast-dLLM (arXiv 2505.22618, section 3.2): the first forward of a
block feeds everything and refreshes the K/V of every position; the others reuse what they do not
feed. With `lead` 1 (models whose logits at p-1 predict p) one more position on the left is fed, so
that the block's first position has its logits too.

A model that reads its context causally needs no refresh: K/V of what is left of the block depend on
nothing right of them, so they are computed once and stay exact. Nothing right of the block is seen
by anything, so it is not fed, and prefix and dual mean the same. Where another network reads the
context, what leads into the block belongs to the block: its K/V are that network's only once the
block has moved on.
"""

from dataclasses import dataclass, replace

from dfastllm.core import CacheKind


@dataclass(frozen=True, slots=True)
class Feed:
    """Feed positions [start, end) and attend over [0, kv_len).

    Positions left of `causal_until` see nothing right of themselves, the others all of [0, kv_len).
    `refresh`: everything is fed, nothing is reused. `store`: fresh K/V go to the row's pages.
    """

    start: int
    end: int
    kv_len: int
    refresh: bool
    store: bool
    causal_until: int = 0

    def __post_init__(self) -> None:
        if self.n_causal and self.end != self.kv_len:
            raise ValueError(f"causal positions in a feed to {self.end} of {self.kv_len} positions")

    @property
    def n_tokens(self) -> int:
        return self.end - self.start

    @property
    def n_causal(self) -> int:
        """How many of its positions, the first ones, see nothing right of themselves."""
        return max(min(self.causal_until, self.end) - self.start, 0)

    def split(self) -> tuple["Feed", "Feed"]:
        """Its causal positions, which see nothing else of it, and the others; either may be empty.

        K/V of the first are read by the second, so both must be stored.
        """
        cut = self.start + self.n_causal
        first = replace(self, end=cut, kv_len=cut)
        return first, replace(self, start=cut, refresh=False, causal_until=0)


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Decides the feed of a row from its cache kind, its block and the state of its K/V.

    `context_apart`, for a context read causally: another network reads it and leaves its K/V. They
    are stored under every cache kind, since that is how they are read.
    """

    lead: int = 0
    causal_context: bool = False
    context_apart: bool = False

    def plan(
        self, kind: CacheKind, block: tuple[int, int], length: int, fresh: bool, kept: int = 0
    ) -> Feed:
        """The next feed of a row.

        `block` is [start, end) in positions of the row, `length` the row's whole length; `fresh`
        says that a refresh took place since the block was entered, `kept` that K/V of [0, kept) are
        stored and final (never, unless the context is read causally).
        """
        if self.causal_context:
            return self._after_context(kind, block, fresh, kept)
        if kind is CacheKind.NONE:
            return Feed(0, length, length, refresh=True, store=False)
        if not fresh:
            return Feed(0, length, length, refresh=True, store=True)
        start = max(block[0] - self.lead, 0)
        end = block[1] if kind is CacheKind.DUAL else length
        return Feed(start, end, length, refresh=False, store=True)

    def _after_context(
        self, kind: CacheKind, block: tuple[int, int], fresh: bool, kept: int
    ) -> Feed:
        """Context whose K/V are not final yet, then the block; what leads in is fed anyway.

        Where nothing is left of what leads in, there is nothing to reuse, and only the first
        forward of a block is a refresh.
        """
        keeps = kind is not CacheKind.NONE
        lead = max(block[0] - self.lead, 0)
        start = min(kept, lead) if keeps else 0
        return Feed(
            start,
            block[1],
            block[1],
            refresh=start == 0 and not (keeps and fresh and lead == 0),
            store=keeps or self.context_apart,
            causal_until=lead if self.context_apart else block[0],
        )
