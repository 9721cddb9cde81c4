"""One request's canvas: which positions are masked, where the active block is, what is final.

Positions are absolute in the row, which is prompt, canvas, suffix. Mutable and dumb: the scheduler
and the engine decide, this keeps the books.
"""

from typing import Any

import numpy as np

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import RowKV
from dfastllm.core import Request, RequestStats, TokenLogprob
from dfastllm.decoding.schedule import steps_of_block
from dfastllm.decoding.strategy import RowView, Strategy
from dfastllm.engine.verification import Verification
from dfastllm.models.spec import ModelSpec


class Sequence:
    """State of one row from arrival to its last token."""

    def __init__(self, request: Request, spec: ModelSpec, strategy: Strategy, arrival_s: float):
        self.request = request
        self.strategy = strategy
        self.state: Any = strategy.start(request.decoding)
        self.arrival_s = arrival_s
        self.admitted_s: float | None = None
        self.first_token_s: float | None = None  # on the engine's clock, like the others
        self.kv = RowKV()  # nothing is final but what a causal context left there
        self.verification = Verification()  # stays empty where the rule does not verify
        self.forwards = 0
        self.refreshes = 0
        self.context_passes = 0
        self.last_served = 0  # the engine step that last fed this row
        self._spec = spec
        self._prompt = len(request.prompt)
        self._block_length = min(request.decoding.block_length, request.max_tokens)
        self._block = 0
        self._front = 0  # canvas index of the first open position of a sequential rule
        self._recent = 0  # positions committed by the last step
        self._canvas = self._wanted_canvas()
        self.tokens = np.concatenate(
            [
                np.asarray(request.prompt, dtype=np.int64),
                np.full(self._canvas, spec.mask_id, dtype=np.int64),
                np.asarray(request.suffix, dtype=np.int64),
            ]
        )
        self._logprobs: dict[int, TokenLogprob] = {}  # by canvas index, until emitted
        self._emitted = 0
        self._end: int | None = None  # canvas index of the first end-of-turn token
        self._enter_block()

    # -- where the row stands -------------------------------------------------------------------

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def max_length(self) -> int:
        """Length once the canvas is full-grown: what K/V pages are reserved for."""
        return self._prompt + self.request.max_tokens + len(self.request.suffix)

    @property
    def n_blocks(self) -> int:
        return -(-self.request.max_tokens // self._block_length)

    @property
    def block_bounds(self) -> tuple[int, int]:
        """[start, end) of the active block in positions."""
        if self.strategy.sequential:
            return self._prompt + self._front, self._prompt + self._canvas
        start = self._block * self._block_length
        end = min(start + self._block_length, self._canvas)
        return self._prompt + start, self._prompt + end

    def open_positions(self) -> np.ndarray:
        """Masked positions of the active block that still matter, int64."""
        start, end = self.block_bounds
        if self._end is not None:
            end = min(end, self._prompt + self._end)
        return start + np.flatnonzero(self.tokens[start:end] == self._spec.mask_id)

    def view(self) -> RowView:
        request = self.request
        steps = request.decoding.steps
        if steps is None:
            share = self._masks_at_start
        else:
            share = steps_of_block(steps, self._block, self.n_blocks)
        return RowView(
            params=request.decoding,
            step=self.step,
            steps=max(share, 1),
            masks_at_start=self._masks_at_start,
            masks_left=len(self.open_positions()),
            start=self.block_bounds[0],
            recent=self._recent,
        )

    def canvas_overlap(self, feed: Feed) -> int:
        """How many positions of the canvas `feed` feeds."""
        end = min(feed.end, self._prompt + self._canvas)
        return max(end - max(feed.start, self._prompt), 0)

    def canvas(self) -> tuple[int, ...]:
        """The answer so far, mask ids where nothing is committed."""
        return tuple(self.tokens[self._prompt : self._prompt + self._canvas].tolist())

    # -- one step's outcome ---------------------------------------------------------------------

    def keep_context(self, feed: Feed) -> None:
        """K/V of what `feed` had read causally are final now; those of the rest it overwrote."""
        if feed.store:
            self.kv.kept = feed.causal_until

    def count_forward(self, feed: Feed, now_step: int) -> None:
        self.forwards += 1
        self.refreshes += feed.refresh
        if self._spec.context_model is not None:
            self.context_passes += feed.n_causal > 0
        self.step += 1
        self.fresh = True
        self.last_served = now_step

    def commit(self, positions: np.ndarray, logprobs: list[TokenLogprob]) -> None:
        """Write tokens at `positions` (absolute, masked until now)."""
        spec, ends = self._spec, []
        self._recent = len(positions)
        if self.strategy.verifies:
            self.verification.accepted += len(positions)
        for position, entry in zip(positions.tolist(), logprobs, strict=True):
            self.tokens[position] = entry.token
            self._logprobs[position - self._prompt] = entry
            if entry.token in spec.eos_ids and not self.request.ignore_eos:
                ends.append(position - self._prompt)
        if ends:
            self._end = min(ends) if self._end is None else min(self._end, *ends)
            tail = slice(self._prompt + self._end + 1, self._prompt + self._canvas)
            self.tokens[tail] = spec.fill_id

    def revoke(self, positions: np.ndarray) -> None:
        """Mask committed positions of the active block again."""
        self.tokens[positions] = self._spec.mask_id
        for position in positions.tolist():
            self._logprobs.pop(position - self._prompt, None)

    def advance(self) -> bool:
        """Enter the next block if the active one is full; True when the answer is complete."""
        if self.strategy.sequential:
            return self._move_front()
        if len(self.open_positions()):
            return False
        if self._end is not None or self._prompt + self.request.max_tokens == self.block_bounds[1]:
            return True
        self._block += 1
        self._grow()
        self._enter_block()
        return False

    @property
    def ended(self) -> bool:
        """Whether an end-of-turn token closed the answer."""
        return self._end is not None

    def take_prefix(self) -> tuple[TokenLogprob, ...]:
        """Tokens that became final since the last call: the committed prefix, end-of-turn included.

        Rules that may revoke a commit hold their text until the block is left behind.
        """
        stop = self._canvas if self._end is None else self._end + 1
        if self.strategy.revokes and len(self.open_positions()):
            stop = min(stop, self._block * self._block_length)
        fresh = self.tokens[self._prompt + self._emitted : self._prompt + stop]
        masked = np.flatnonzero(fresh == self._spec.mask_id)
        end = self._emitted + (int(masked[0]) if len(masked) else len(fresh))
        taken = tuple(self._logprobs.pop(i) for i in range(self._emitted, end))
        self._emitted = end
        return taken

    def stats(self, now_s: float) -> RequestStats:
        admitted = self.admitted_s if self.admitted_s is not None else now_s
        first = self.first_token_s
        verification = self.verification
        own_prompt = self._prompt + len(self.request.suffix)
        return RequestStats(
            prompt_tokens=0 if self.request.repeats_prompt else own_prompt,
            completion_tokens=self._emitted,
            forward_passes=self.forwards,
            refresh_passes=self.refreshes,
            queue_s=admitted - self.arrival_s,
            compute_s=now_s - admitted,
            first_token_s=None if first is None else first - self.arrival_s,
            verifier_passes=verification.passes,
            drafted=verification.drafted,
            accepted=verification.accepted,
            context_passes=self.context_passes,
        )

    # -- internals ------------------------------------------------------------------------------

    def _enter_block(self) -> None:
        self.step = 0
        self.fresh = False  # K/V are refreshed by the first forward of each block
        start, end = self.block_bounds
        self._masks_at_start = int((self.tokens[start:end] == self._spec.mask_id).sum())

    def _move_front(self) -> bool:
        """Begin the block at what is open now; True when the answer is complete."""
        self._front += self._recent
        if self._end is not None or self._front == self.request.max_tokens:
            return True
        self.verification.kv.crop(self._prompt + self._front)
        self._grow()
        return False

    def _wanted_canvas(self) -> int:
        """Length of the canvas while the present block is active."""
        request, lookahead = self.request, self.request.decoding.lookahead
        if lookahead is None or request.suffix:
            return request.max_tokens
        if self.strategy.sequential:
            return min(self._front + max(lookahead, 1), request.max_tokens)
        return min((self._block + 1) * self._block_length + lookahead, request.max_tokens)

    def _grow(self) -> None:
        """Append masks until as many stand right of the active block as wanted."""
        wanted = self._wanted_canvas()
        if wanted > self._canvas:
            masks = np.full(wanted - self._canvas, self._spec.mask_id, dtype=np.int64)
            self.tokens = np.concatenate([self.tokens, masks])
            self._canvas = wanted
