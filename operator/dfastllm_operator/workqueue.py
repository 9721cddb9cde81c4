"""Services to be reconciled, and the workers that do it: one keyed queue.

A key comes back later and later while it keeps failing. What is due when is `schedule`'s business.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dfastllm_operator.core import Key
from dfastllm_operator.errors import ApiError, LeaseLost
from dfastllm_operator.schedule import Schedule

Worker = Callable[[Key], Awaitable[float | None]]
"""Handles a key; seconds after which to come back, None to wait until somebody wakes it."""

OnFailure = Callable[[Key, Exception, float], None]
"""Told about each failure, and in how many seconds the key is tried again."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after the n-th failure in a row: doubling, with jitter, up to `cap_s`."""

    base_s: float = 0.5
    cap_s: float = 300.0

    def delay_s(self, failures: int, chance: Callable[[], float] = random.random) -> float:
        # Beyond 2**32 only overflow is left to gain.
        whole = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 32))
        return whole * (0.5 + chance() / 2)


class WorkQueue:
    """Keys, and the workers that take them."""

    def __init__(
        self,
        backoff: Backoff | None = None,
        *,
        rest_s: float = 0.0,
        on_failure: OnFailure | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backoff = backoff or Backoff()
        self._on_failure = on_failure
        self._clock = clock
        self._schedule = Schedule(rest_s)
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, key: Key) -> None:
        """The key is due now."""
        self.add_after(key, 0.0)

    def add_after(self, key: Key, delay_s: float) -> None:
        """The key is due in `delay_s`, unless it is due earlier anyway."""
        self._schedule.add(key, self._clock() + max(0.0, delay_s))
        self._changed.set()

    def depth(self) -> int:
        """How many keys are due and wait for a worker."""
        return self._schedule.depth(self._clock())

    def oldest_age_s(self) -> float:
        """For how long the key that waits the longest has been due."""
        return self._schedule.oldest_s(self._clock())

    def stuck_s(self) -> float:
        """For how long a key has been worked on, or nothing was finished though keys are due."""
        return self._schedule.stuck_s(self._clock())

    async def run(self, worker: Worker, concurrency: int) -> None:
        """Work until closed or cancelled; raises LeaseLost as soon as a worker does."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(concurrency):
                    group.create_task(self._work(worker), name=f"worker {number}")
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from None

    def close(self) -> None:
        """Workers finish the key they have in hand and stop."""
        self._closed = True
        self._changed.set()

    async def _work(self, worker: Worker) -> None:
        while (key := await self._take()) is not None:
            try:
                await self._handle(worker, key)
            finally:
                self._schedule.done(key, self._clock())
                self._changed.set()
            # A reconcile that finds nothing to do never waits: a thousand of them in a row would
            # keep the event loop from the Lease and from the probes.
            await asyncio.sleep(0)

    async def _take(self) -> Key | None:
        while not self._closed:
            key = self._schedule.take(self._clock())
            if key is not None:
                return key
            self._changed.clear()
            at = self._schedule.next_at()
            try:
                async with asyncio.timeout(None if at is None else max(0.0, at - self._clock())):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return None

    async def _handle(self, worker: Worker, key: Key) -> None:
        try:
            again_s = await worker(key)
        except LeaseLost:
            raise
        except Exception as error:
            self._failed(key, error)
        else:
            self._failures.pop(key, None)
            if again_s is not None:
                self.add_after(key, again_s)

    def _failed(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay_s = self._backoff.delay_s(failures)
        if isinstance(error, ApiError) and error.retry_after_s is not None:
            delay_s = max(delay_s, error.retry_after_s)
        self.add_after(key, delay_s)
        if self._on_failure is not None:
            self._on_failure(key, error, delay_s)
