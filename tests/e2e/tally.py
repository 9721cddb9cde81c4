"""What clients saw: how many requests, what became of them, the first errors in their words."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

SHOWN = 5  # errors that are kept in words; the others are counted


class Outcome(StrEnum):
    """`FINISHED` is the only good one."""

    FINISHED = "finished"
    FAILED = "failed"  # an error before the first chunk
    BROKEN = "broken"  # an error after it
    UNFINISHED = "unfinished"  # ended without an error and without a finish_reason


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; times are of the monotonic clock, in seconds."""

    began_s: float
    ended_s: float
    outcome: Outcome
    detail: str = ""  # of what went wrong
    chunks: int = 0
    wrong: bool = False  # an answer in full, but not the right one
    rule: str = ""  # of decoding, as the answer says in the end

    @property
    def is_lost(self) -> bool:
        return self.outcome is not Outcome.FINISHED


class Tally:
    """Of all requests so far; many threads may add."""

    def __init__(self, began_s: float | None = None) -> None:
        """From now on, unless the beginning is given."""
        self._lock = threading.Lock()
        self._began_s = time.monotonic() if began_s is None else began_s
        self._asked: list[Asked] = []

    def add(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)

    @property
    def asked(self) -> list[Asked]:
        with self._lock:
            return list(self._asked)

    @property
    def requests(self) -> int:
        return len(self.asked)

    @property
    def finished(self) -> int:
        return self._count(Outcome.FINISHED)

    @property
    def failed(self) -> int:
        return self._count(Outcome.FAILED)

    @property
    def unfinished(self) -> int:
        """Streams that began and did not come to their end."""
        return self._count(Outcome.BROKEN, Outcome.UNFINISHED)

    @property
    def lost(self) -> int:
        return self.failed + self.unfinished

    @property
    def wrong(self) -> int:
        return sum(one.wrong for one in self.asked)

    def by_rule(self, rule: str) -> list[Asked]:
        """Those that were decoded by it: where two revisions differ in it, those of one."""
        return [one for one in self.asked if one.rule == rule]

    @property
    def longest_gap_s(self) -> float:
        """Longest time in which nobody's answer came to its end: how long a service was away."""
        ends = [one.ended_s for one in self.asked if one.outcome is Outcome.FINISHED]
        moments = sorted([self._began_s, *ends])
        return max((b - a for a, b in pairwise(moments)), default=0.0)

    @property
    def errors(self) -> list[str]:
        """The first ones, with the seconds since the start."""
        bad = (one for one in self.asked if one.is_lost)
        first = sorted(bad, key=lambda one: one.ended_s)[:SHOWN]
        return [f"{one.ended_s - self._began_s:.1f} s {one.outcome}: {one.detail}" for one in first]

    def __str__(self) -> str:
        counts = Counter(str(one.outcome) for one in self.asked)
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        return "\n".join([f"{self.requests} requests: {said}; {self.wrong} wrong", *self.errors])

    def _count(self, *outcomes: Outcome) -> int:
        return sum(one.outcome in outcomes for one in self.asked)
