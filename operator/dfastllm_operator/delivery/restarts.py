"""How often containers were restarted, from the pods' status: a process that died reports nothing.

Pure.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from dfastllm_operator.core import Json


def restarts_since(
    pods: Iterable[Json], since: datetime | None, before: Mapping[str, int]
) -> dict[str, int]:
    """Restarts by pod: beyond those counted `before`, or all of a pod that is younger than `since`.

    What was counted is lost when the operator starts anew. So a container that is known to have
    ended after `since` counts as restarted, once: of an older pod that is all that its status tells
    then. `since` None: all there ever were.
    """
    found = {}
    for pod in pods:
        name = str(pod["metadata"]["name"])
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        total = sum(int(status.get("restartCount") or 0) for status in statuses)
        ended = sum(since is not None and _ended_after(status, since) for status in statuses)
        known = 0 if since is not None and _created_after(pod, since) else before.get(name, 0)
        found[name] = max(total - known, ended)
    return found


def _created_after(pod: Json, since: datetime) -> bool:
    return _parsed(str(pod["metadata"].get("creationTimestamp"))) > since


def _ended_after(status: Mapping[str, Any], since: datetime) -> bool:
    ends = (
        ((status.get(state) or {}).get("terminated") or {}).get("finishedAt")
        for state in ("state", "lastState")
    )
    return any(end is not None and _parsed(str(end)) > since for end in ends)


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
