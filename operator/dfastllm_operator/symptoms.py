"""Why a replica is not ready, read from its pod as an on-call engineer would read it.

Pure. The most telling symptom of all pods wins, so that one line of status says what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Json
from dfastllm_operator.pod_lifecycle import ended_at, has_ended, is_present, made_at

INITIALIZER = "storage-initializer"
INVALID_NAME = "InvalidImageName"
PULL_FAILURES = frozenset({"ErrImagePull", "ImagePullBackOff", INVALID_NAME, "ErrImageNeverPull"})
START_FAILURES = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
)
OUT_OF_MEMORY = "OOMKilled"
REPLACED_WITHIN = timedelta(minutes=1)
"""After its node has ended a pod, another one is made in its place at once."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """One reason and its sentence.

    `fatal`: waiting alone will not help; `hopeless`: nothing will but another spec.
    """

    reason: Reason
    message: str
    fatal: bool = False
    hopeless: bool = False


ORDER = (
    Reason.OUT_OF_MEMORY,
    Reason.IMAGE_PULL_FAILED,
    Reason.DOWNLOAD_FAILED,
    Reason.START_FAILED,
    Reason.LOAD_FAILED,
    Reason.NODE_LOST,
    Reason.GPU_UNAVAILABLE,
    Reason.UNSCHEDULABLE,
    Reason.EVICTED,
    Reason.LOADING,
)


def worst(pods: Iterable[Json]) -> Symptom | None:
    """The most telling symptom of the pods that are not ready; None if all are.

    A pod that its node has ended stays listed for people to read. It is told of as long as what was
    made in its place has no more to say than that it starts.
    """
    every = tuple(pods)
    found = [symptom for pod in every if (symptom := of_pod(pod)) is not None]
    first = min(found, key=lambda s: ORDER.index(s.reason), default=None)
    if first is None and any(map(is_present, every)):
        return None
    if first is not None and first.reason is not Reason.LOADING:
        return first
    return _eviction(every) or first


def _eviction(every: Sequence[Json]) -> Symptom | None:
    """Of the pod that its node has ended last, unless what starts now was made long afterwards."""
    starting = [made_at(pod) for pod in every if of_pod(pod) is not None]
    ended = [pod for pod in every if has_ended(pod) and pod["status"].get("reason")]
    last = max(ended, key=ended_at, default=None)
    if last is None or (starting and ended_at(last) + REPLACED_WITHIN < min(starting)):
        return None
    name, status = last["metadata"]["name"], last["status"]
    said = str(status.get("message") or "").strip()
    text = f"Pod {name} was ended by its node ({status['reason']})"
    return Symptom(Reason.EVICTED, f"{text}: {said}" if said else f"{text}.")


def of_pod(pod: Json) -> Symptom | None:
    """What keeps this pod from being ready; None if it is ready, on its way out or at its end."""
    status = pod.get("status") or {}
    name = pod["metadata"]["name"]
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    if not is_present(pod) or _true(conditions.get("Ready")):
        return None
    if _is_silent(conditions):
        node = (pod.get("spec") or {}).get("nodeName")
        return Symptom(
            Reason.NODE_LOST, f"Pod {name} was ready, but its node {node} reports no more."
        )
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return _unscheduled(name, str(scheduled.get("message") or "no node fits"))
    return (
        _of_containers(name, status.get("initContainerStatuses") or [])
        or _of_containers(name, status.get("containerStatuses") or [])
        or Symptom(Reason.LOADING, f"Pod {name} is starting or loads the model.")
    )


def _is_silent(conditions: Mapping[str, Json]) -> bool:
    """A node's end shows in this alone: the node controller turns Ready, and gives no reason."""
    ready = conditions.get("Ready") or {}
    turned = ready.get("status") == "False" and not ready.get("reason")
    return turned and _true(conditions.get("ContainersReady"))


def _unscheduled(name: str, message: str) -> Symptom:
    if ".com/gpu" in message or "/gpu" in message:
        return Symptom(Reason.GPU_UNAVAILABLE, f"Pod {name} waits for a GPU: {message}")
    return Symptom(Reason.UNSCHEDULABLE, f"Pod {name} cannot be placed: {message}")


def _of_containers(pod: str, statuses: Sequence[Json]) -> Symptom | None:
    for status in statuses:
        if status.get("ready"):
            continue
        if symptom := _of_container(pod, status):
            return symptom
    return None


def _of_container(pod: str, status: Json) -> Symptom | None:
    name = str(status.get("name"))
    waiting = _state(status, "state", "waiting")
    reason = str(waiting.get("reason") or "")
    if reason in PULL_FAILURES:
        text = waiting.get("message") or reason
        image = status.get("image")
        return Symptom(
            Reason.IMAGE_PULL_FAILED,
            f"Pod {pod} cannot pull {image}: {text}",
            fatal=True,
            hopeless=reason == INVALID_NAME,
        )
    if reason in START_FAILURES:
        text = waiting.get("message") or reason
        return Symptom(
            Reason.START_FAILED, f"Container {name} of pod {pod} cannot start: {text}", fatal=True
        )
    ended = _state(status, "state", "terminated") or _state(status, "lastState", "terminated")
    if not ended or (ended.get("exitCode") == 0 and name == INITIALIZER):
        return None
    return _of_end(pod, name, ended)


def _of_end(pod: str, name: str, ended: dict[str, Any]) -> Symptom:
    said = str(ended.get("message") or "").strip().splitlines()
    detail = f": {said[-1]}" if said else ""
    if ended.get("reason") == OUT_OF_MEMORY:
        return Symptom(
            Reason.OUT_OF_MEMORY,
            f"Container {name} of pod {pod} was killed at its memory limit; raise "
            "resources.limits.memory or lower engine.maxRunningRequests.",
            fatal=True,
        )
    if name == INITIALIZER:
        return Symptom(
            Reason.DOWNLOAD_FAILED,
            f"Pod {pod} could not fetch the model (exit code {ended.get('exitCode')}){detail}",
            fatal=True,
        )
    return Symptom(
        Reason.LOAD_FAILED,
        f"Container {name} of pod {pod} ended with exit code {ended.get('exitCode')}"
        f"{detail}. Its log says why: kubectl logs {pod} -c {name} --previous",
        fatal=True,
    )


def _state(status: Json, which: str, state: str) -> dict[str, Any]:
    return dict((status.get(which) or {}).get(state) or {})


def _true(condition: Json | None) -> bool:
    return condition is not None and condition.get("status") == "True"
