"""Keeps the operator out of a fight: what somebody else keeps undoing is not done for ever.

State in memory only, and only to be slower: after a restart a contested object is repaired a few
times more, then left to the slow pace again.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dfastllm_operator.core import Key

Identity = tuple[Key, str]
"""A service, and which of its objects."""

REPAIRS = 10
WINDOW_S = 60.0
PAUSE_S = 60.0


@dataclass(slots=True)
class _Record:
    applied: str = ""
    times: deque[float] = field(default_factory=lambda: deque(maxlen=REPAIRS))
    stubborn: tuple[str, str] | None = None


class Contest:
    """Counts how often the same was written to an object; `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[Identity, _Record] = {}

    def calm(self, identity: Identity, applied: str) -> bool:
        """Whether `applied` (a digest) may be written to `identity` now."""
        record = self._records.get(identity)
        if record is None or record.applied != applied or len(record.times) < REPAIRS:
            return True
        spread = record.times[-1] - record.times[0]
        return spread > WINDOW_S or self._clock() - record.times[-1] > PAUSE_S

    def futile(self, identity: Identity, applied: str, resource_version: str) -> bool:
        """Whether the same apply already left the object as it is: a webhook has the last word."""
        record = self._records.get(identity)
        return record is not None and record.stubborn == (applied, resource_version)

    def written(self, identity: Identity, applied: str) -> None:
        """Note a write; something new to write starts the count anew."""
        record = self._records.setdefault(identity, _Record())
        if record.applied != applied:
            self._records[identity] = record = _Record(applied=applied)
        record.times.append(self._clock())

    def unmoved(self, identity: Identity, applied: str, resource_version: str) -> None:
        """Note that an apply did not make the object what was wanted."""
        self._records.setdefault(identity, _Record()).stubborn = (applied, resource_version)

    def forget(self, identity: Identity) -> None:
        self._records.pop(identity, None)

    def forget_service(self, key: Key) -> None:
        for identity in [i for i in self._records if i[0] == key]:
            del self._records[identity]
