"""How a rollout is spelled in the CR's status, and read back. Pure.

Times are RFC 3339 with milliseconds. What is at its default is left out, so an equal rollout is
written equally; whatever a newer operator wrote beside it is not touched by reading.
"""

from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

from dfastllm_operator.api.structure import camel_name
from dfastllm_operator.canary.decision import News
from dfastllm_operator.canary.phase import IN_PROGRESS, WITHDRAWING, Cause, RolloutPhase
from dfastllm_operator.canary.room import ALL
from dfastllm_operator.canary.state import Assigned, Handled, Leaving, RolloutStatus, Tally
from dfastllm_operator.core import Json

_PARTS: dict[str, type[Any]] = {
    "stable": Assigned,
    "candidate": Assigned,
    "leaving": Leaving,
    "tally": Tally,
    "handled": Handled,
}
LONGEST_NEWS = 1024
"""Characters, as in an Event."""

MOST_MOVES = 16
"""Of which the news stands in the status. A rollout by the default steps has 13: if none of its
Events could be created, all of them still can be when it is over.
"""

_TIMES = frozenset({"since", "confirmed_at", "step_since", "lost_at", "measured_at"})


def to_status(status: RolloutStatus) -> Json:
    """`status.rollout`."""
    return _written(status)


def from_status(found: Json) -> RolloutStatus:
    """The rollout that `status.rollout` tells of; an empty one is a rollout not begun.

    Raises KeyError, TypeError or ValueError when somebody else wrote it.
    """
    status: RolloutStatus = _read(RolloutStatus, found)
    if not _is_sound(status):
        raise ValueError(f"phase {status.phase} with other parts than it has")
    return status


def to_news(news: News, at: datetime) -> Json:
    """One of `status.rollout.moves`: what is to be told of it, as it is written with it."""
    kind = "Warning" if news.warning else "Normal"
    found = {"time": _spelled(at), "type": kind, "reason": news.reason}
    return {**found, "message": news.message[:LONGEST_NEWS]}


def from_news(found: Json) -> tuple[News, datetime]:
    """Raises KeyError, TypeError or ValueError when somebody else wrote it."""
    at = datetime.fromisoformat(found["time"]).astimezone(UTC)
    return News(found["reason"], found["message"], found["type"] == "Warning"), at


def kept_news(rollout: Json) -> list[Json]:
    """What is to be told of the latest moves in `status.rollout`, oldest first.

    Operators before this one wrote that of the latest alone, as `news`.
    """
    former = [rollout["news"]] if rollout.get("news") else []
    return list(rollout.get("moves") or former)[-MOST_MOVES:]


def with_news(rollout: Json, news: News, at: datetime) -> list[Json]:
    """`status.rollout.moves` after one move more than in `rollout`."""
    return [*kept_news(rollout), to_news(news, at)][-MOST_MOVES:]


def _is_sound(status: RolloutStatus) -> bool:
    """The parts that a phase works with are there, and no two share a slot."""
    places = [p for p in (status.stable, status.candidate, status.leaving) if p is not None]
    if len({place.slot for place in places}) < len(places) or not 0 <= status.weight <= ALL:
        return False
    has_stable, has_candidate, has_leaving = (
        part is not None for part in (status.stable, status.candidate, status.leaving)
    )
    if status.phase in IN_PROGRESS:
        return has_stable and has_candidate and not has_leaving
    if status.phase in WITHDRAWING:
        return has_stable and has_candidate is not has_leaving
    if status.phase is RolloutPhase.FINALIZING:
        return has_stable and has_leaving and not has_candidate
    failed = status.phase is RolloutPhase.FAILED
    return not (has_candidate or has_leaving) and (not failed or has_stable)


def _written(part: Any) -> Json:
    found: Json = {}
    for field in fields(part):
        value = getattr(part, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if value is None or (value == default and field.name != "phase"):
            continue
        found[camel_name(field.name)] = _plain(field.name, value)
    return found


def _plain(name: str, value: Any) -> Any:
    if name in _PARTS:
        return _written(value)
    if isinstance(value, datetime):
        return _spelled(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, str) else value


def _spelled(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(kind: type[Any], found: Json) -> Any:
    values = {}
    for field in fields(kind):
        key = camel_name(field.name)
        if key in found:
            values[field.name] = _parsed(field.name, found[key])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise KeyError(key)
    return kind(**values)


def _parsed(name: str, value: Any) -> Any:
    if name in _PARTS:
        return _read(_PARTS[name], value)
    if name in _TIMES:
        return datetime.fromisoformat(value).astimezone(UTC)
    if name == "phase":
        return _member(RolloutPhase, value)
    if name == "cause":
        return _member(Cause, value)
    return tuple(value) if isinstance(value, list) else value


def _member(kind: type[RolloutPhase] | type[Cause], word: str) -> RolloutPhase | Cause:
    for member in kind:
        if member == word:
            return member
    raise ValueError(f"no {kind.__name__} {word}")
