"""What `kubectl get` shows of a rollout, where no field says it by itself. Pure."""

from collections.abc import Iterable

from dfastllm_operator.canary.policy import RolloutSpec
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.core import Json
from dfastllm_operator.gates.measurement import Outcome


def columns(policy: RolloutSpec, status: RolloutStatus) -> Json:
    """`progress`, while there is a candidate, and `measured`, once there was a look."""
    found: Json = {}
    if status.candidate is not None:
        count = len(policy.steps)
        found["progress"] = f"{min(status.step + 1, count)}/{count}"
    if status.measurements:
        found["measured"] = ", ".join(_each(status.measurements))
    return found


def _each(measurements: Iterable[Json]) -> Iterable[str]:
    """Each metric once, by the bound that did not hold, else by the one that compares."""
    worst: dict[str, Json] = {}
    for entry in measurements:
        if entry["outcome"] == Outcome.SHOWN:
            continue
        last = worst.get(entry["metric"])
        if last is None or _weight(entry) > _weight(last):
            worst[entry["metric"]] = entry
    return map(_one, worst.values())


def _weight(entry: Json) -> tuple[bool, bool]:
    return entry["outcome"] != Outcome.PASS, "stable" in entry


def _one(entry: Json) -> str:
    text = f"{entry['metric']} {entry.get('candidate', 'unknown')}"
    if "stable" in entry:
        text = f"{text} (stable {entry['stable']})"
    return text if entry["outcome"] == Outcome.PASS else f"{text}: {entry['outcome']}"
