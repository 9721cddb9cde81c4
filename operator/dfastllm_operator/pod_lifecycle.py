"""Where a pod stands between its making and its end, by its metadata and its status. Pure.

This alone says which pods count: what Kubernetes lists may be over for a long time.
"""

from dfastllm_operator.core import Json

ENDED = frozenset({"Succeeded", "Failed"})
"""Phases that a pod never comes back from."""


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
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return ready and not has_ended(pod)


def _deleted(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
