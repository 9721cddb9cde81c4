"""Keeps the operator out of a fight: what somebody else keeps undoing is not done for ever.

State in memory only, and only to be slower: after a restart a contested object is repaired a few
times more, then left to the slow pace again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dfastllm_operator.core import Key

Identity = tuple[Key, str]
"""A service, and which of its objects."""

REPAIRS = 10
WINDOW_S = 60.0
PAUSE_S = 60.0


@dataclass(slots=True)
class _Record:
    applied: str = ""
    times: int = 0
    since: float = 0.0
    last: float = 0.0
    stubborn: tuple[str, str] | None = None


class Contest:
    """Counts how often the same was written to an object; `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[Identity, _Record] = {}
        self._swept_at = clock()

    def calm(self, identity: Identity, applied: str) -> bool:
        """Whether `applied` (a digest) may be written to `identity` now."""
        record = self._records.get(identity)
        if record is None or record.applied != applied or record.times < REPAIRS:
            return True
        return self._clock() - record.last > PAUSE_S

    def futile(self, identity: Identity, applied: str, resource_version: str) -> bool:
        """Whether the same apply already left the object as it is: a webhook has the last word."""
        record = self._records.get(identity)
        return record is not None and record.stubborn == (applied, resource_version)

    def written(self, identity: Identity, applied: str) -> None:
        """Note a write; something new to write, or a long time, starts the count anew."""
        now = self._clock()
        self._sweep(now)
        record = self._records.get(identity)
        if record is None or record.applied != applied or now - record.since > WINDOW_S:
            record = self._records[identity] = _Record(applied=applied, since=now)
        record.times += 1
        record.last = now

    def unmoved(self, identity: Identity, applied: str, resource_version: str) -> None:
        """Note that an apply did not make the object what was wanted."""
        self._records.setdefault(identity, _Record()).stubborn = (applied, resource_version)

    def forget_service(self, key: Key) -> None:
        for identity in [i for i in self._records if i[0] == key]:
            del self._records[identity]

    def _sweep(self, now: float) -> None:
        """Drop what no longer counts, so that the records are those of the last minutes."""
        if now - self._swept_at < WINDOW_S:
            return
        self._swept_at = now
        old = now - WINDOW_S - PAUSE_S
        for identity, record in list(self._records.items()):
            if record.stubborn is None and record.last < old:
                del self._records[identity]
