"""Which records of revisions are kept. Pure.

A record is what a revision is restored from, byte for byte: `revision.from_record` gives back what
`revision.to_record` was given, and pods are rendered from nothing else.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dfastllm_operator.canary.state import RolloutStatus


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record in the cluster. `number` is the ControllerRevision's own: the higher, the newer."""

    revision: str
    number: int


def needed(status: RolloutStatus, wanted: str) -> frozenset[str]:
    """Revisions that a rollout stands on: their records stay, however old they are."""
    places = (status.stable, status.candidate, status.leaving)
    found = {place.revision for place in places if place is not None}
    return frozenset(found | {wanted} | ({status.failed} if status.failed else set()))


def kept(
    records: Iterable[Recorded], needed: Collection[str], in_use: Collection[str], limit: int
) -> frozenset[str]:
    """The records that stay: what is needed, what pods run, and the `limit` newest others."""
    every = sorted(records, key=lambda record: (-record.number, record.revision))
    held = {r.revision for r in every if r.revision in needed or r.revision in in_use}
    others = [r.revision for r in every if r.revision not in held]
    return frozenset(held | set(others[: max(0, limit)]))


def next_number(records: Iterable[Recorded], revision: str) -> int:
    """The number for `revision`; a record that is there is immutable and keeps its own."""
    every = list(records)
    known = next((r.number for r in every if r.revision == revision), None)
    if known is not None:
        return known
    return max((r.number for r in every), default=0) + 1
