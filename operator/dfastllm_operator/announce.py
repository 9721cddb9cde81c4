"""One Event for each transition of a condition, never two.

Pure: it says which Events a change of status deserves. An Event's name is made from
the state that is left and the state that is entered, so that a crash between writing the Event and
writing the status makes the same Event again, which the API server knows already.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.canary.record import from_news, kept_news
from dfastllm_operator.conditions import ConditionType, Reason
from dfastllm_operator.core import Json
from dfastllm_operator.kinds import SERVICE_RESOURCE
from dfastllm_operator.revision import digest

FAULTS = frozenset({ConditionType.DEGRADED, ConditionType.ROLLOUT_BLOCKED})
"""Conditions that are good when they are False."""

ON_THE_WAY = frozenset(
    {Reason.LOADING, Reason.WAITING_FOR_KSERVE, Reason.ROUTE_PENDING, Reason.SCALER_PENDING}
)
"""Reasons of a part that is not ready yet and needs nobody's help."""

TOLD_ALREADY = frozenset({Reason.ROLLOUT_FAILED})
"""Reasons of which the move of a rollout has an Event of its own."""

TOLD_WITHIN = timedelta(minutes=30)
"""An API server keeps Events for an hour, unless it was told otherwise."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an Event says."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class MoveEvent:
    """The Event of a move of a rollout, and when that was written."""

    at: datetime
    event: Json

    @property
    def name(self) -> str:
        return str(self.event["metadata"]["name"])

    def is_recent(self, now: datetime) -> bool:
        """Whether an Event of it that there was is there still."""
        return now - self.at <= TOLD_WITHIN


def events(raw: Json, status: Mapping[str, Any], now: str, reporter: str) -> list[Json]:
    """Events for the step from the status in `raw` to `status`; `reporter` is this pod's name."""
    return [
        _event(raw, last, condition, now, reporter)
        for last, condition in _transitions(raw.get("status") or {}, status)
    ]


def _transitions(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    before = {c["type"]: c for c in old.get("conditions") or []}
    after = {c["type"]: c for c in new.get("conditions") or []}
    for kind, condition in after.items():
        last = before.get(kind, {})
        if condition["status"] == "Unknown":
            continue
        if kind == ConditionType.DEGRADED:
            told = _news_of_the_whole(last, condition, _faults(before), _faults(after))
        else:
            told = _news(last, condition)
        if told:
            yield last, condition


def _news(last: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    kind = condition["type"]
    if kind == ConditionType.PROGRESSING:
        return False  # it shows in the status; as Events it would drown what matters
    if kind == ConditionType.READY:
        return _good(condition) if not last else _good(condition) != _good(last)
    if (last.get("status"), last.get("reason")) == (condition["status"], condition["reason"]):
        return False
    if _bad(condition):
        # Starting up is no news; falling back to it is.
        return condition["reason"] not in ON_THE_WAY or _good(last)
    return _bad(last) and last["reason"] not in ON_THE_WAY


def _news_of_the_whole(
    last: Mapping[str, Any],
    condition: Mapping[str, Any],
    faults_before: frozenset[str],
    faults: frozenset[str],
) -> bool:
    """Degraded is told unless it repeats what a part says."""
    if (last.get("status"), last.get("reason")) == (condition["status"], condition["reason"]):
        return False
    if _bad(condition):
        return condition["reason"] not in faults | TOLD_ALREADY
    return _bad(last) and last["reason"] not in faults_before


def _faults(conditions: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Reasons of the parts that are not well."""
    whole = (ConditionType.READY, ConditionType.DEGRADED, ConditionType.PROGRESSING)
    parts = [c for kind, c in conditions.items() if kind not in whole]
    return frozenset(str(c["reason"]) for c in parts if _bad(c))


def _bad(condition: Mapping[str, Any]) -> bool:
    wrong = "True" if condition.get("type") in FAULTS else "False"
    return bool(condition.get("status") == wrong)


def _good(condition: Mapping[str, Any]) -> bool:
    return condition.get("status") in ("True", "False") and not _bad(condition)


def _event(
    raw: Json,
    last: Mapping[str, Any],
    condition: Mapping[str, Any],
    now: str,
    reporter: str,
) -> Json:
    metadata = raw["metadata"]
    step = digest(
        {
            "uid": metadata["uid"],
            "type": condition["type"],
            "from": [last.get(k) for k in ("status", "reason", "lastTransitionTime")],
            "to": [condition["status"], condition["reason"]],
        }
    )
    kind = str(condition["type"])
    text = condition.get("message") or f"{kind} is {condition['status']}."
    said = Said(str(condition["reason"]), f"{kind}: {text}", _bad(condition))
    return _written(raw, said, step, now, reporter)


def news_of_rollout(raw: Json, reporter: str) -> list[MoveEvent]:
    """Events of the latest moves of the rollout, oldest first, as they were written with them.

    Whoever makes one again gives it the same name. What somebody else wrote there is left out.
    """
    rollout = (raw.get("status") or {}).get("rollout") or {}
    found = []
    for written in kept_news(rollout):
        try:
            news, at = from_news(written)
        except (KeyError, TypeError, ValueError):
            continue
        said = Said(news.reason, news.message, news.warning)
        step = digest({"uid": raw["metadata"]["uid"], "rollout": written})
        found.append(MoveEvent(at, _written(raw, said, step, f"{at:%Y-%m-%dT%H:%M:%SZ}", reporter)))
    return found


def _written(raw: Json, said: Said, step: str, now: str, reporter: str) -> Json:
    metadata = raw["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{names.dns_label(metadata['name'], 50)}.{step}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": SERVICE_RESOURCE.api_version,
            "kind": SERVICE_RESOURCE.kind,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": "Warning" if said.warning else "Normal",
        "reason": said.reason,
        "message": said.message[:1024],
        "source": {"component": names.FIELD_MANAGER},
        "reportingComponent": names.FIELD_MANAGER,
        "reportingInstance": reporter,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
