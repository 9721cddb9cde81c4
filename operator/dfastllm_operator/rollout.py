"""How far the pods are: the numbers of the Deployment that KServe made for a slot.

Pure. KServe's own conditions do not tell an old replica from a new one (a spec change leaves Ready
True during the whole rollout), so the revision label of the pod template is compared too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.conditions import ConditionType, Reason
from dfastllm_operator.core import Json
from dfastllm_operator.decide import Plan
from dfastllm_operator.kinds import DEPLOYMENT, INFERENCE_SERVICE, POD
from dfastllm_operator.observe import Observed
from dfastllm_operator.pod_lifecycle import is_present, is_ready

QUOTA = "exceeded quota"
"""What the API server says when a ResourceQuota is why it refuses a pod."""
AT_REST = frozenset({Reason.COMPLETE, Reason.PAUSED, Reason.BLOCKED})
"""Reasons of Progressing while no replica is on its way."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Replicas of the serving slot.

    `exists`: KServe has made the Deployment. `complete`: every wanted replica runs the wanted
    revision and is available, and no other is left. `updated` are ready pods of the wanted
    revision, `pods` all of the service's. `failure` is the Deployment's own complaint (a quota,
    mostly).
    """

    exists: bool = False
    complete: bool = False
    wanted: int = 0
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    failure: str = ""
    pods: tuple[Json, ...] = ()
    updated_pods: tuple[Json, ...] = ()


def rollout(observed: Observed, plan: Plan) -> Rollout:
    """Read the Deployment and the pods of the plan's serving slot."""
    service = observed.service
    name = names.predictor(service.name, service.namespace, plan.serving)
    body = next((s.body for s in observed.of(DEPLOYMENT) if s.name == name), None)
    if body is not None and not _made_of_ours(body, observed, plan):
        body = None
    if body is None or not plan.placements:
        return Rollout(wanted=observed.service.spec.replicas.min)
    status: dict[str, Any] = body.get("status") or {}
    wanted = _wanted(observed, plan, body)
    revision = plan.placements[0].revision.hash
    pods = tuple(s.body for s in observed.of(POD) if _is_of(s.body, name))
    updated = tuple(pod for pod in pods if _revision_of(pod) == revision)
    return Rollout(
        exists=True,
        complete=_complete(body, wanted, revision),
        wanted=wanted,
        replicas=int(status.get("replicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        updated=sum(is_present(pod) and is_ready(pod) for pod in updated),
        failure=failure_of(status),
        pods=pods,
        updated_pods=updated,
    )


def started(old: Mapping[str, Any], revision: str, now_is: Rollout, now: str) -> str:
    """Since when replicas have been on their way to where they should be.

    The stored time holds for as long as the same rollout goes on; a service that was at rest and is
    not any more (scaled, a node lost, no longer paused) begins anew.
    """
    same = old.get("updatedRevision") == revision and old.get("updateStarted")
    rests = any(
        c.get("type") == ConditionType.PROGRESSING and c.get("reason") in AT_REST
        for c in old.get("conditions") or []
    )
    if same and (now_is.complete or not rests):
        return str(old["updateStarted"])
    return now


def _made_of_ours(deployment: Json, observed: Observed, plan: Plan) -> bool:
    """Not that of a former service of the same name, which may linger for a while."""
    service = observed.service
    name = names.inference_service(service.name, service.namespace, plan.serving)
    parent = observed.owned(INFERENCE_SERVICE, name)
    if parent is None:
        return not deployment["metadata"].get("ownerReferences")
    return made_by(deployment, parent.body)


def made_by(deployment: Json, inference_service: Json) -> bool:
    """Whether it is the Deployment of this very InferenceService."""
    owners = deployment["metadata"].get("ownerReferences") or []
    uid = inference_service["metadata"].get("uid")
    return not owners or any(owner.get("uid") == uid for owner in owners)


def _is_of(pod: Json, deployment: str) -> bool:
    expected = names.app_label(deployment)
    return bool((pod["metadata"].get("labels") or {}).get("app", expected) == expected)


def _revision_of(pod: Json) -> str:
    return str((pod["metadata"].get("labels") or {}).get(names.REVISION_LABEL))


def _wanted(observed: Observed, plan: Plan, deployment: Json) -> int:
    """Fixed replicas are the spec's; under a scaler the Deployment's number is the truth."""
    pinned = plan.placements[0].replicas
    if pinned is not None:
        return pinned
    if observed.service.spec.autoscaling.type == "none":
        return observed.service.spec.replicas.min
    return int((deployment.get("spec") or {}).get("replicas") or 0)


def _complete(deployment: Json, wanted: int, revision: str) -> bool:
    status = deployment.get("status") or {}
    spec = deployment.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    current = int(status.get("observedGeneration") or 0) >= int(
        deployment["metadata"].get("generation") or 0
    )
    counts = [
        int(spec.get("replicas") or 0),
        int(status.get("replicas") or 0),
        int(status.get("updatedReplicas") or 0),
        int(status.get("availableReplicas") or 0),
    ]
    return (
        current
        and labels.get(names.REVISION_LABEL) == revision
        and all(count == wanted for count in counts)
    )


def failure_of(status: Mapping[str, Any]) -> str:
    """The words of whoever refuses the pods of a Deployment; empty when nobody does."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason"))
    return ""
