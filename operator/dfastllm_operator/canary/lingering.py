"""Pods that should be gone and are not, as on a node that is dead and was not removed. Pure.

Nothing is to be done about them but by people: what ran on such a node may run still. So they are
waited for, and named.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

PATIENCE = timedelta(seconds=30)
"""How late a pod may be before anybody is told."""

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Going:
    """A pod on its way out; `due` is the end of its grace period, `node` "" when it has none."""

    pod: str
    node: str
    due: datetime

    @property
    def late_at(self) -> datetime:
        """When it is told."""
        return self.due + PATIENCE


def named(pods: Iterable[Going], now: datetime) -> str:
    """Those that are late, with what to do about them; "" when none is."""
    late = sorted((p for p in pods if now >= p.late_at), key=lambda p: (p.due, p.pod))
    said = [_sentence(pod) for pod in late[:MOST_NAMED]]
    if len(late) > MOST_NAMED:
        said.append(f"So should {len(late) - MOST_NAMED} more pods.")
    return " ".join(said)


def _sentence(pod: Going) -> str:
    due = pod.due.strftime("%Y-%m-%dT%H:%M:%SZ")
    if not pod.node:
        return f"Pod {pod.pod} should be gone since {due}: kubectl delete pod {pod.pod} --force."
    return (
        f"Pod {pod.pod} on node {pod.node} should be gone since {due}: if the node is dead for "
        f"good, remove it (kubectl delete node {pod.node}), or kubectl delete pod {pod.pod} "
        "--force."
    )
