"""The revisions of a service, from the records that the operator keeps. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dfastllm_operator.core import Json
from dfastllm_operator.ctl.view import RolloutView


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision; `role` is stable, candidate, failed, serving or empty."""

    revision: str
    created: str
    role: str
    model: str
    image: str


def history(cr: Json, records: Iterable[Json], found: RolloutView) -> list[Entry]:
    """The revisions of this very CR, the newest first."""
    uid = cr["metadata"].get("uid")
    own = [record for record in records if _is_of(record, uid)]
    own.sort(key=_created, reverse=True)
    serving = str((cr.get("status") or {}).get("revision") or "")
    return [_entry(record, found, serving) for record in own]


def _entry(record: Json, found: RolloutView, serving: str) -> Entry:
    data: dict[str, Any] = record.get("data") or {}
    revision = str(data.get("hash") or "?")
    model = ((data.get("inputs") or {}).get("model") or {}).get("uri")
    image = (data.get("resolved") or {}).get("image")
    return Entry(
        revision, _created(record), _role(revision, found, serving), str(model), str(image)
    )


def _role(revision: str, found: RolloutView, serving: str) -> str:
    if found.stable is not None and found.stable.revision == revision:
        return "stable"
    if found.failed == revision:
        return "failed"
    if found.candidate is not None and found.candidate.revision == revision:
        return "candidate"
    return "serving" if not found.phase and serving == revision else ""


def _is_of(record: Json, uid: Any) -> bool:
    owners = record["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)


def _created(record: Json) -> str:
    return str(record["metadata"].get("creationTimestamp") or "")
