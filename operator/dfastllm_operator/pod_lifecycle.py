"""Where a pod stands between its making and its end, by its metadata and its status. Pure.

This alone says which pods count: what Kubernetes lists may be over for a long time.
"""

from datetime import UTC, datetime
from typing import Any

from dfastllm_operator.core import Json

ENDED = frozenset({"Succeeded", "Failed"})
"""Phases that a pod never comes back from."""
NEVER = datetime.min.replace(tzinfo=UTC)


def has_ended(pod: Json) -> bool:
    """Evicted, refused by its node, or run to its end.

    Another one is made in its place, and it stays listed for people to read. It holds no GPU and
    serves nobody.
    """
    return (pod.get("status") or {}).get("phase") in ENDED


def is_present(pod: Json) -> bool:
    """It holds what it was given, ready or not, and nobody has told it to go."""
    return not has_ended(pod) and not _deleted(pod)


def is_leaving(pod: Json) -> bool:
    """On its way out, and still holding what it was given."""
    return not has_ended(pod) and _deleted(pod)


def is_ready(pod: Json) -> bool:
    return _condition(pod, "Ready").get("status") == "True" and not has_ended(pod)


def never_ready(pod: Json) -> bool:
    """Waiting for a node, starting or loading: nobody has sent it a request yet.

    A node says of a pod that it is not ready before it says that it is initialized, and gives
    another time when that changes. A pod whose times are not told may have been ready.
    """
    ready, initialized = _condition(pod, "Ready"), _condition(pod, "Initialized")
    if not ready:
        return True
    if ready.get("status") == "True":
        return False
    since, began = (_time(said.get("lastTransitionTime")) for said in (ready, initialized))
    return since is not None and began is not None and since <= began


def made_at(pod: Json) -> datetime:
    return _time(pod["metadata"].get("creationTimestamp")) or NEVER


def ended_at(pod: Json) -> datetime:
    """Of one that has ended. A pod that its node never took has no conditions."""
    told = (pod.get("status") or {}).get("conditions") or ()
    times = (_time(one.get("lastTransitionTime")) for one in told)
    return max((at for at in times if at is not None), default=made_at(pod))


def _deleted(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _condition(pod: Json, kind: str) -> Json:
    found = (pod.get("status") or {}).get("conditions") or ()
    return next((c for c in found if c.get("type") == kind), {})


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
