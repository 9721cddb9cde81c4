"""The spine: one denoising step over whichever rows are running.

`step` reads top to bottom: drop what expired, admit what waits, plan, forward, verify, choose,
commit.
A request may join or leave between any two steps. Synchronous and single-threaded: `service.py`
gives it a thread and turns its deltas into text.
"""

import time
from collections.abc import Callable, Iterable, Mapping

import torch

from dfastllm.cache.policy import CachePolicy
from dfastllm.cache.pool import KVPool
from dfastllm.core import Delta, FinishReason, Request, RequestStats, TokenLogprob
from dfastllm.decoding.registry import strategies
from dfastllm.decoding.strategy import Strategy
from dfastllm.engine.admission import Admission
from dfastllm.engine.budget import QueueBudget
from dfastllm.engine.choose import RowChoice, choose
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.drafts import Verified
from dfastllm.engine.observer import Deaf, EngineObserver, Outcome, StepKind
from dfastllm.engine.runner import Forwarded, PlannedRow, Runner, kv_pool
from dfastllm.engine.scheduler import Scheduler
from dfastllm.engine.sequence import Sequence
from dfastllm.engine.verifier import Verifier
from dfastllm.errors import Cancelled, DeadlineExceeded
from dfastllm.models.spec import ModelSpec, NetworkSpec
from dfastllm.models.transformer import Transformer


class DFastLLMEngine:
    """A diffusion language model with a queue in front of it.

    `verifier` is the causal model that strategy `apd` needs, `context` the one that reads the
    context of a model that leaves that to another; where both are one, they share K/V and forwards.
    `rules` and `policy` replace the decoding rules and the cache policy; the defaults are those of
    the model's family. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        model: Transformer,
        config: EngineConfig,
        *,
        verifier: Transformer[NetworkSpec] | None = None,
        context: Transformer[NetworkSpec] | None = None,
        observer: EngineObserver | None = None,
        rules: Mapping[str, Strategy] | None = None,
        policy: CachePolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        spec: ModelSpec = model.spec
        if (spec.context_model is None) is not (context is None):
            raise ValueError("a context network goes with a model that names one, and only with it")
        if policy is not None and policy.context_apart is (context is None):
            raise ValueError("a policy has context_apart set where there is a context network")
        shift = int(spec.shift_logits)
        self.spec = spec
        self.config = config
        pool = kv_pool(model, config.kv_cache_tokens)
        self._runner = Runner(model, pool, shift=shift, vocab_size=spec.vocab_size, context=context)
        self._verifier_pool: KVPool | None = None  # one of its own
        self._verifier: Verifier | None = None
        if verifier is not None:
            if verifier is not context:
                self._verifier_pool = kv_pool(verifier, config.kv_cache_tokens)
            self._verifier = Verifier(verifier, spec, self._verifier_pool or pool)
        budget = QueueBudget(config)
        self._scheduler = Scheduler(
            config,
            pool,
            policy or CachePolicy(shift, spec.causal_context, context is not None),
            budget,
            None if self._verifier is None else self._verifier.pool,
        )
        self._admission = Admission(
            spec, rules or strategies(spec.schedule), self._verifier, self._scheduler, budget
        )
        self._observer = observer or Deaf()
        self._clock = clock

    # -- the spine ------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self) -> list[Delta]:
        """One denoising step; returns what changed, rows that ended included."""
        started = self._clock()
        deltas = self._expire(started)
        self._scheduler.admit(started)
        self._report_load()
        rows = self._plan()
        if rows:
            forwarded, failed = self._runner.forward(rows)
            deltas += [self._fail(sequence, error, "error") for sequence, error in failed]
            for part in forwarded:
                for row in part.rows:
                    row.sequence.keep_context(row.feed)
                verified = self._verify(part)
                choices = choose(part, self.spec, verified)
                deltas += self._commit(part, choices)
                self._report(started, part, choices)
        self._report_load()
        return deltas

    def _plan(self) -> list[PlannedRow]:
        return [
            PlannedRow(
                sequence,
                feed,
                sequence.open_positions(),
                sequence.tokens[feed.start : feed.end],
                sequence.kv.pages,
            )
            for sequence, feed in self._scheduler.plan()
        ]

    def _verify(self, part: Forwarded) -> Verified:
        """What a second model says of the drafts of rows whose rule verifies."""
        if self._verifier is None:
            return Verified()
        started = self._clock()
        verified = self._verifier.verify(part)
        if verified.forwards:
            seconds = self._clock() - started
            self._observer.verified(seconds, verified.forwards, verified.fed_tokens)
        return verified

    def _commit(self, part: Forwarded, choices: list[RowChoice]) -> list[Delta]:
        deltas = []
        for row, choice in zip(part.rows, choices, strict=True):
            sequence = row.sequence
            sequence.count_forward(row.feed, self._scheduler.step)
            if choice.error is not None:
                deltas.append(self._fail(sequence, choice.error, "error"))
                continue
            sequence.commit(choice.positions, choice.entries)
            if choice.revoked is not None and len(choice.revoked):
                sequence.revoke(choice.revoked)
            done = sequence.advance()
            deltas.append(self._delta(sequence, done))
        return deltas

    # -- joining and leaving --------------------------------------------------------------------

    def add(self, requests: Iterable[Request]) -> None:
        """Queue all of them or none; raises as `prepare` does."""
        self.enqueue(self.prepare(requests))

    def prepare(self, requests: Iterable[Request]) -> list[Sequence]:
        """Check requests and reserve their room in the queue. Safe in any thread.

        Raises PromptTooLong, InvalidRequest or Overloaded; then nothing is reserved.
        """
        return self._admission.prepare(requests, self._clock())

    def enqueue(self, sequences: Iterable[Sequence]) -> None:
        """Queue prepared rows; they take part from the next step on."""
        for sequence in sequences:
            self._scheduler.add(sequence)
        self._report_load()

    def cancel(self, request_id: str) -> list[Delta]:
        """Drop a request, waiting or running; nothing happens when it is not there."""
        deltas = [
            self._fail(s, Cancelled("the request was cancelled"), "cancelled")
            for s in self._find(request_id)
        ]
        self._report_load()
        return deltas

    def finish(self, request_id: str) -> list[Delta]:
        """End a running answer well: its text met a stop string."""
        deltas = [self._leave(s, FinishReason.STOP, ()) for s in self._find(request_id)]
        self._report_load()
        return deltas

    def fail(self, request_id: str, error: Exception) -> list[Delta]:
        """End a row that cannot go on for a reason outside the engine."""
        deltas = [self._fail(s, error, "error") for s in self._find(request_id)]
        self._report_load()
        return deltas

    def report(self, stats: RequestStats, reason: FinishReason) -> None:
        """Count an answer that ended well.

        Whoever made its text calls this, with the tokens of what was kept: a stop string may have
        ended it before the row did.
        """
        self._observer.finished(stats, reason.value)

    def _find(self, request_id: str) -> list[Sequence]:
        return self._scheduler.find(lambda s: s.request.request_id == request_id)

    @property
    def has_work(self) -> bool:
        return bool(self._scheduler.running or self._scheduler.waiting)

    @property
    def verifies(self) -> bool:
        """Whether there is a verifier, so that strategy `apd` can be asked for."""
        return self._verifier is not None

    @property
    def kv_page_bytes(self) -> int:
        """Bytes of one page of K/V memory over all layers."""
        return self._runner.pool.page_bytes

    @property
    def verifier_page_bytes(self) -> int:
        """The same of the verifier's memory; 0 where it has none of its own."""
        return 0 if self._verifier_pool is None else self._verifier_pool.page_bytes

    @property
    def load(self) -> tuple[int, int]:
        """Running and waiting rows."""
        return len(self._scheduler.running), len(self._scheduler.waiting)

    # -- internals ------------------------------------------------------------------------------

    def _expire(self, now: float) -> list[Delta]:
        def late(sequence: Sequence) -> bool:
            limit = sequence.request.deadline_s
            return limit is not None and now - sequence.arrival_s > limit

        return [
            self._fail(
                s, DeadlineExceeded(f"not finished within {s.request.deadline_s:g} s"), "deadline"
            )
            for s in self._scheduler.find(late)
        ]

    def _delta(self, sequence: Sequence, done: bool) -> Delta:
        prefix = sequence.take_prefix()
        if prefix and sequence.first_token_s is None:
            sequence.first_token_s = self._clock()
        if done:
            reason = FinishReason.STOP if sequence.ended else FinishReason.LENGTH
            delta = self._leave(sequence, reason, prefix)
        else:
            delta = Delta(sequence.request.request_id, prefix, canvas=_canvas(sequence))
        return delta

    def _leave(
        self, sequence: Sequence, reason: FinishReason, prefix: tuple[TokenLogprob, ...]
    ) -> Delta:
        self._scheduler.remove(sequence)
        stats = sequence.stats(self._clock())
        return Delta(
            sequence.request.request_id,
            prefix,
            finish_reason=reason,
            stats=stats,
            canvas=_canvas(sequence),
        )

    def _fail(self, sequence: Sequence, error: Exception, outcome: Outcome) -> Delta:
        self._scheduler.remove(sequence)
        stats = sequence.stats(self._clock())
        self._observer.finished(stats, outcome)
        return Delta(sequence.request.request_id, error=error, stats=stats)

    def _report(self, started: float, part: Forwarded, choices: list[RowChoice]) -> None:
        refreshed = sum(row.feed.refresh for row in part.rows)
        kind: StepKind = "mixed" if refreshed else "block"
        if refreshed == len(part.rows):
            kind = "refresh"
        read = 0 if self.spec.context_model is None else sum(r.feed.n_causal for r in part.rows)
        if read:
            self._observer.context_read(read)
        self._observer.step(
            self._clock() - started,
            kind,
            len(part.rows),
            sum(row.feed.n_tokens for row in part.rows),
            sum(len(choice.entries) for choice in choices),
            sum(row.sequence.canvas_overlap(row.feed) for row in part.rows),
        )

    def _report_load(self) -> None:
        pool = self._runner.pool
        self._observer.set_load(*self.load)
        if self._verifier_pool is not None:
            own = self._verifier_pool
            self._observer.set_verifier_kv(own.used_pages, own.n_pages)
        self._observer.set_kv(pool.used_pages, pool.n_pages)


def _canvas(sequence: Sequence) -> tuple[int, ...] | None:
    return sequence.canvas() if sequence.request.stream_canvas else None
