"""Which key is due when, and which is being worked on. No clock, no tasks: time is an argument.

A key waits at most once and is worked on once at a time; what wakes it meanwhile makes it due again
afterwards. After its work a key rests for a moment, so that the echoes of its own writes make one
more turn of it and not one each.
"""

import heapq

from dfastllm_operator.core import Key


class Schedule:
    """Keys by the time at which they are due."""

    def __init__(self, rest_s: float = 0.0) -> None:
        self._rest_s = rest_s
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        """Mirrors `_due` for the keys nobody works on; entries that `_due` denies are stale."""
        self._busy: dict[Key, float] = {}
        self._resting: dict[Key, float] = {}
        """Until when; in that order."""
        self._progress_at = 0.0

    def add(self, key: Key, at: float) -> None:
        """The key is due `at`, or earlier if it was due earlier."""
        at = max(at, self._resting.get(key, at))
        if at < self._due.get(key, float("inf")):
            self._due[key] = at
            if key not in self._busy:
                heapq.heappush(self._heap, (at, key))

    def take(self, now: float) -> Key | None:
        """The key that has been due the longest; it is the caller's until `done`."""
        self._drop_stale()
        if not self._heap or self._heap[0][0] > now:
            return None
        _, key = heapq.heappop(self._heap)
        del self._due[key]
        self._busy[key] = now
        return key

    def done(self, key: Key, now: float) -> None:
        del self._busy[key]
        self._progress_at = now
        self._rest(key, now)
        if key in self._due:
            self._due[key] = max(self._due[key], now + self._rest_s)
            heapq.heappush(self._heap, (self._due[key], key))

    def next_at(self) -> float | None:
        """When the next key that nobody works on is due."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def depth(self, now: float) -> int:
        """How many keys are due and not worked on."""
        return sum(at <= now and key not in self._busy for key, at in self._due.items())

    def oldest_s(self, now: float) -> float:
        """For how long the key that waits the longest has been due."""
        return now - min((at for at in self._due.values() if at <= now), default=now)

    def stuck_s(self, now: float) -> float:
        """How long one key has been worked on, or keys have been due while none was finished."""
        worked = now - min(self._busy.values(), default=now)
        return max(worked, min(self.oldest_s(now), now - self._progress_at))

    def _rest(self, key: Key, now: float) -> None:
        self._resting.pop(key, None)
        self._resting[key] = now + self._rest_s
        while (first := next(iter(self._resting))) and self._resting[first] < now:
            del self._resting[first]

    def _drop_stale(self) -> None:
        while self._heap:
            at, key = self._heap[0]
            if self._due.get(key) == at and key not in self._busy:
                return
            heapq.heappop(self._heap)
