"""Keeps the operator out of a fight: a field that somebody else keeps writing is not fought over.

State in memory only, and only to be slower: after a restart a contested object is repaired a few
times more, then left to the slow pace again.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

REPAIRS = 6
WINDOW_S = 60.0
PAUSE_S = 60.0


@dataclass(slots=True)
class _Record:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=REPAIRS))
    stubborn: tuple[str, str] | None = None


class Contest:
    """Counts repairs by object; `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def calm(self, identity: str) -> bool:
        """Whether `identity` may be written now."""
        record = self._records.get(identity)
        if record is None or len(record.times) < REPAIRS:
            return True
        spread = record.times[-1] - record.times[0]
        return spread > WINDOW_S or self._clock() - record.times[-1] > PAUSE_S

    def futile(self, identity: str, applied: str, resource_version: str) -> bool:
        """Whether the same apply already left the object as it is: a webhook has the last word."""
        record = self._records.get(identity)
        return record is not None and record.stubborn == (applied, resource_version)

    def repaired(self, identity: str) -> None:
        self._records.setdefault(identity, _Record()).times.append(self._clock())

    def unmoved(self, identity: str, applied: str, resource_version: str) -> None:
        """Note that an apply did not make the object what was wanted."""
        self._records.setdefault(identity, _Record()).stubborn = (applied, resource_version)

    def forget(self, identity: str) -> None:
        self._records.pop(identity, None)
