"""Who waits, who runs, who takes part in the next forward. Pure bookkeeping, no tensors.

Waiting requests are served by priority (lower first), then by the caller with the fewest rows
running, then by arrival: a caller with a thousand requests delays another's first by one row at
most. Running rows take part in turn when a step cannot hold them all.
"""

from collections import Counter
from collections.abc import Callable

from dfastllm.cache.policy import CachePolicy, Feed
from dfastllm.cache.pool import PAGE_TOKENS, KVPool
from dfastllm.core import CacheKind
from dfastllm.engine.budget import QueueBudget
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.sequence import Sequence
from dfastllm.errors import InvalidRequest, PromptTooLong


class Scheduler:
    """Queue and running set of one engine.

    `verifier_pool` may be `pool` itself: then a row's pages hold the K/V of both.
    """

    def __init__(
        self,
        config: EngineConfig,
        pool: KVPool,
        policy: CachePolicy,
        budget: QueueBudget,
        verifier_pool: KVPool | None = None,
    ):
        self.running: list[Sequence] = []
        self.waiting: list[Sequence] = []
        self._config = config
        self._pool = pool
        self._shares_pool = verifier_pool is pool
        self._verifier_pool = None if self._shares_pool else verifier_pool
        self._policy = policy
        self._budget = budget
        self._step = 0

    def check(self, sequence: Sequence) -> None:
        """Raise PromptTooLong or InvalidRequest when the row can never run. Safe in any thread."""
        if sequence.max_length > self._config.max_model_len:
            raise PromptTooLong(
                f"prompt and answer need {sequence.max_length} tokens, "
                f"the context holds {self._config.max_model_len}"
            )
        if self._pages(sequence) > self._pool.n_pages:
            if self._policy.context_apart:
                raise PromptTooLong(
                    f"prompt and answer need {sequence.max_length} tokens, "
                    f"the K/V cache holds {self._pool.n_pages * PAGE_TOKENS}"
                )
            name, exact = _uncached(sequence)
            raise InvalidRequest(
                f"{sequence.max_length} tokens do not fit into the K/V cache; "
                f"ask for fewer tokens or {exact}",
                param=f"diffusion.{name}",
            )
        pool = self._verifier_pool
        if pool is not None and self._verifier_pages(sequence) > pool.n_pages:
            raise InvalidRequest(
                f"{sequence.max_length} tokens do not fit into the verifier's K/V cache; "
                "ask for fewer tokens or another strategy",
                param="diffusion.strategy",
            )

    def add(self, sequence: Sequence) -> None:
        """Queue a row whose room is reserved."""
        self.waiting.append(sequence)

    def admit(self, now_s: float) -> None:
        """Move waiting rows into the running set while there is room for them."""
        while self.waiting and len(self.running) < self._config.max_running:
            share = Counter(s.request.key for s in self.running)
            first = min(
                self.waiting,
                key=lambda s: (s.request.priority, share[s.request.key], s.arrival_s),
            )
            if not self._take_pages(first):
                return  # rows that finish will give pages back; overtaking would starve this one
            first.admitted_s = now_s
            self.waiting.remove(first)
            self.running.append(first)
            self._budget.admitted(first.max_length)

    def plan(self) -> list[tuple[Sequence, Feed]]:
        """Rows of the next forward with what they feed, longest-unserved first."""
        self._step += 1
        planned: list[tuple[Sequence, Feed]] = []
        budget = self._config.max_step_tokens
        for sequence in sorted(self.running, key=lambda s: s.last_served):
            feed = self._feed(sequence)
            if planned and feed.n_tokens > budget:
                continue
            planned.append((sequence, feed))
            budget -= feed.n_tokens
        return planned

    @property
    def step(self) -> int:
        """Number of the current step, for `Sequence.count_forward`."""
        return self._step

    def remove(self, sequence: Sequence) -> None:
        """Forget a row, waiting or running, and free its pages."""
        if sequence in self.running:
            self.running.remove(sequence)
            self._give_back_pages(sequence)
        else:
            self.waiting.remove(sequence)
            self._budget.admitted(sequence.max_length)
        self._budget.left(sequence.request.key)

    def find(self, wanted: Callable[[Sequence], bool]) -> list[Sequence]:
        return [s for s in (*self.running, *self.waiting) if wanted(s)]

    def _take_pages(self, sequence: Sequence) -> bool:
        """K/V pages of the model and of the verifier, or none at all."""
        pages = self._pool.take(self._pages(sequence))
        if pages is None:
            return False
        if self._verifier_pool is not None:
            kept = self._verifier_pool.take(self._verifier_pages(sequence))
            if kept is None:
                self._pool.give_back(pages)
                return False
            sequence.verification.kv.pages = kept
        sequence.kv.pages = pages
        if self._shares_pool:
            sequence.verification.kv = sequence.kv
        return True

    def _give_back_pages(self, sequence: Sequence) -> None:
        self._pool.give_back(sequence.kv.pages)
        sequence.kv.pages = ()
        if self._verifier_pool is not None:
            self._verifier_pool.give_back(sequence.verification.kv.pages)
            sequence.verification.kv.pages = ()

    def _pages(self, sequence: Sequence) -> int:
        if not (self._policy.context_apart or sequence.request.decoding.keeps_kv):
            return 0
        return KVPool.pages_for(sequence.max_length)

    def _verifier_pages(self, sequence: Sequence) -> int:
        return KVPool.pages_for(sequence.max_length) if sequence.strategy.verifies else 0

    def _feed(self, sequence: Sequence) -> Feed:
        default = self._policy.plan(
            self._cache_kind(sequence),
            sequence.block_bounds,
            sequence.length,
            sequence.fresh,
            sequence.kv.kept,
        )
        return sequence.strategy.feed(sequence.view(), default)

    def _cache_kind(self, sequence: Sequence) -> CacheKind:
        """A sequential rule has its window instead, but where the context cannot grow stale."""
        if not sequence.strategy.sequential:
            return sequence.request.decoding.cache
        return CacheKind.DUAL if self._policy.context_apart else CacheKind.NONE


def _uncached(sequence: Sequence) -> tuple[str, str]:
    """The parameter that asks for K/V to be kept, and what to say instead."""
    if sequence.strategy.sequential:
        return "window", "no window"
    return "cache", "cache 'none'"
