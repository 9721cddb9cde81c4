"""The revisions of a service, from the records that the operator keeps. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dfastllm_operator.core import Json
from dfastllm_operator.ctl.view import RolloutView

ABSENT = "none"


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision; `role` is stable, candidate, leaving, failed, serving or empty.

    `changed` are the fields in which it differs from the one that was made before it.
    """

    revision: str
    created: str
    role: str
    model: str
    image: str
    changed: str = ""


def history(cr: Json, records: Iterable[Json], found: RolloutView) -> list[Entry]:
    """The revisions of this very CR, the newest first."""
    uid = cr["metadata"].get("uid")
    own = sorted((record for record in records if _is_of(record, uid)), key=_age)
    serving = str((cr.get("status") or {}).get("revision") or "")
    before: list[Json | None] = [None, *own]
    entries = [
        _entry(record, former, found, serving) for record, former in zip(own, before, strict=False)
    ]
    return entries[::-1]


def changes(before: Json, after: Json) -> list[str]:
    """`decoding.preset balanced > fast` for each field in which two revisions differ."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return [
        f"{path} {old.get(path, ABSENT)} > {new.get(path, ABSENT)}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _leaves(part: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(part, dict):
        yield path, part if isinstance(part, str) else json.dumps(part)
        return
    for name, value in part.items():
        yield from _leaves(value, f"{path}.{name}" if path else name)


def _entry(record: Json, former: Json | None, found: RolloutView, serving: str) -> Entry:
    data: dict[str, Any] = record.get("data") or {}
    revision = str(data.get("hash") or "?")
    inputs = data.get("inputs") or {}
    image = (data.get("resolved") or {}).get("image")
    earlier = ((former or {}).get("data") or {}).get("inputs")
    changed = changes(earlier, inputs) if earlier is not None else []
    return Entry(
        revision,
        _created(record),
        _role(revision, found, serving),
        str((inputs.get("model") or {}).get("uri")),
        str(image),
        ", ".join(changed),
    )


def _role(revision: str, found: RolloutView, serving: str) -> str:
    for role, side in (
        ("stable", found.stable),
        ("candidate", found.candidate),
        ("leaving", found.leaving),
    ):
        if side is not None and side.revision == revision:
            return role if revision != found.failed else "failed"
    if found.failed == revision:
        return "failed"
    return "serving" if not found.phase and serving == revision else ""


def _is_of(record: Json, uid: Any) -> bool:
    owners = record["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)


def _age(record: Json) -> tuple[int, str]:
    """Records are numbered as they are made; two of the same second are told apart so."""
    return int(record.get("revision") or 0), _created(record)


def _created(record: Json) -> str:
    return str(record["metadata"].get("creationTimestamp") or "")
