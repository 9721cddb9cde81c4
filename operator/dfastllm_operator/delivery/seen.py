"""What the state machine of a rollout looks at, read from the objects of a service. Pure.

What was not heard of counts as not there, so nothing may be decided before every kind was listed.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.api.scaling import ScalerType
from dfastllm_operator.canary.lingering import Going
from dfastllm_operator.canary.observation import (
    Observation,
    Obstacle,
    Order,
    Orders,
    Running,
    SlotSeen,
)
from dfastllm_operator.canary.record import from_status
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.conditions import ConditionType, Reason
from dfastllm_operator.core import Json, Revision, Seen
from dfastllm_operator.decide import Plan
from dfastllm_operator.delivery.scaling import scaler_healthy
from dfastllm_operator.delivery.splitting import splitting_of
from dfastllm_operator.gates.measurement import Measurement
from dfastllm_operator.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    INFERENCE_SERVICE,
    POD,
    SCALED_OBJECT,
    SERVICE,
)
from dfastllm_operator.observe import Observed
from dfastllm_operator.pod_lifecycle import is_leaving, is_present, is_ready
from dfastllm_operator.revision import gpus_of
from dfastllm_operator.rollout import QUOTA, failure_of
from dfastllm_operator.symptoms import of_pod, worst

OF_SERVICE = "kubernetes.io/service-name"
ORDERS = ("promote", "abort", "retry")


def stored_status(observed: Observed) -> RolloutStatus:
    """The rollout as it was written last; one that cannot be read is begun from what serves."""
    try:
        return from_status(dict(observed.raw.get("status") or {})["rollout"])
    except (KeyError, TypeError, ValueError):
        return RolloutStatus()


def observation(
    observed: Observed,
    plan: Plan,
    revisions: Mapping[str, Revision],
    status: RolloutStatus,
    *,
    running: Running | None = None,
    measurement: Measurement | None = None,
) -> Observation:
    """The world as one decision sees it.

    `plan` is that of an update in place: its revision is what the spec asks for. `revisions` are
    those that are known by hash. `running` are the requests on the slot that leaves.
    """
    gpus = {hash_: gpus_of(revision) for hash_, revision in revisions.items()}
    leaving = status.leaving.slot if status.leaving else ""
    return Observation(
        wanted=_wanted(plan, status),
        slots={
            slot: _slot(observed, slot, gpus, running if slot == leaving else None)
            for slot in names.SLOTS
        },
        route=splitting_of(observed).seen(observed),
        address=address_of(observed),
        serving=_serving(observed.status),
        served=str(observed.status.get("revision") or ""),
        gpus=gpus,
        obstacles=(*_obstacles(observed), *_unseen_endpoints(observed, status)),
        orders=_orders(observed.service.annotations),
        measurement=measurement,
        scaler_healthy=scaler_healthy(observed),
        frozen=observed.service.spec.paused,
        paused_since=_paused_since(observed),
    )


def pods_of(observed: Observed, slot: str) -> list[Json]:
    """Pods of a slot, those on their way out and those that have ended among them."""
    service = observed.service
    app = names.app_label(names.predictor(service.name, service.namespace, slot))
    return [s.body for s in observed.of(POD) if _labels(s.body).get("app") == app]


def address_of(observed: Observed) -> str:
    """The slot that the Service of the CR's name selects; "" when neither, or it is not ours."""
    service = observed.service
    made = observed.owned(SERVICE, names.dns_label(service.name))
    app = ((made.body.get("spec") or {}).get("selector") or {}).get("app") if made else None
    predictors = {s: names.predictor(service.name, service.namespace, s) for s in names.SLOTS}
    return next((s for s, name in predictors.items() if names.app_label(name) == app), "")


def going(pods: Iterable[Json]) -> Iterator[Going]:
    """Those on their way out."""
    for pod in filter(is_leaving, pods):
        try:
            due = datetime.fromisoformat(str(pod["metadata"].get("deletionTimestamp")))
        except ValueError:
            continue
        node = (pod.get("spec") or {}).get("nodeName")
        yield Going(str(pod["metadata"]["name"]), str(node or ""), due.astimezone(UTC))


def _wanted(plan: Plan, status: RolloutStatus) -> str:
    """A spec that is wrong moves nothing: what was on its way stays so, and what failed."""
    if plan.problem is None:
        return plan.placements[0].revision.hash
    if status.candidate is not None:
        return status.candidate.revision
    if status.failed:
        return status.failed
    return status.stable.revision if status.stable else plan.placements[0].revision.hash


def _paused_since(observed: Observed) -> datetime | None:
    """What the status says of `spec.paused` when that is not set any more: nobody has acted since.

    Conditions tell whole seconds, so this is the end of that second.
    """
    said = _condition(observed.status, ConditionType.PROGRESSING)
    if observed.service.spec.paused or said.get("reason") != Reason.PAUSED:
        return None
    since = _time(said.get("lastTransitionTime"))
    return since + timedelta(seconds=1) if since else None


def _serving(status: Mapping[str, Any]) -> tuple[str, str] | None:
    revision = status.get("updatedRevision")
    return (str(status.get("slot") or names.SLOTS[0]), str(revision)) if revision else None


def _slot(
    observed: Observed, slot: str, gpus: Mapping[str, int], running: Running | None
) -> SlotSeen:
    service = observed.service
    made = observed.owned(
        INFERENCE_SERVICE, names.inference_service(service.name, service.namespace, slot)
    )
    deployment = observed.owned(DEPLOYMENT, names.predictor(service.name, service.namespace, slot))
    every = pods_of(observed, slot)
    pods = [pod for pod in every if is_present(pod)]
    leaving = [pod for pod in every if is_leaving(pod)]
    ready_pods = sum(map(is_ready, pods))
    symptom = worst(every)
    hopeless = any(found.hopeless for found in map(of_pod, pods) if found is not None)
    failure = failure_of(deployment.body.get("status") or {}) if deployment else ""
    return SlotSeen(
        revision=_labels(made.body).get(names.REVISION_LABEL, "?") if made else "",
        wanted=_replicas(deployment.body) if deployment else 0,
        ready=min(ready_pods, _ready_endpoints(observed, slot)),
        ready_pods=ready_pods,
        pods=len(pods),
        leaving=len(leaving),
        gpus_each=max((_gpus(p, gpus) for p in (*pods, *_next_pod(deployment))), default=0),
        gpus_leaving=sum(_gpus(pod, gpus) for pod in leaving),
        going=tuple(going(leaving)),
        running=running.requests if running else None,
        unanswered=running.unanswered if running else 0,
        symptom=symptom.message if symptom else failure,
        hopeless=hopeless,
        refused=failure if QUOTA in failure else "",
        stopped=deployment is not None and not _replicas(deployment.body),
        unready_since=_unready_since(deployment.body, pods) if deployment else None,
    )


def _next_pod(deployment: Seen | None) -> Iterable[Json]:
    """What the Deployment makes pods from."""
    template = ((deployment.body.get("spec") or {}).get("template")) if deployment else None
    return [template] if template else []


def _gpus(pod: Json, gpus: Mapping[str, int]) -> int:
    return gpus.get(_labels(pod).get(names.REVISION_LABEL, ""), 0)


def _replicas(deployment: Json) -> int:
    return int((deployment.get("spec") or {}).get("replicas") or 0)


def _unready_since(deployment: Json, pods: list[Json]) -> datetime | None:
    """Deployments tell when too few of their pods were left, and pods that were the last tell more.

    A pod that was made since has never been ready, so it says the time at which it was made.
    """
    available = _condition(deployment.get("status") or {}, "Available")
    since = _time(available.get("lastTransitionTime"))
    if available.get("status") != "False" or since is None:
        return None
    ready = (_condition(pod.get("status") or {}, "Ready") for pod in pods)
    times = (_time(said.get("lastTransitionTime")) for said in ready)
    return max([since, *(time for time in times if time is not None)])


def _slices_of(observed: Observed, slot: str) -> list[Json]:
    """The endpoints of the Service that KServe makes for the slot, which the route names."""
    service = observed.service
    backend = names.predictor(service.name, service.namespace, slot)
    return [
        s.body for s in observed.of(ENDPOINT_SLICE) if _labels(s.body).get(OF_SERVICE) == backend
    ]


def _ready_endpoints(observed: Observed, slot: str) -> int:
    """Ready is what does not say that it is not."""
    endpoints = (e for body in _slices_of(observed, slot) for e in body.get("endpoints") or ())
    return sum((e.get("conditions") or {}).get("ready") is not False for e in endpoints)


def _obstacles(observed: Observed) -> Iterable[Obstacle]:
    yield from splitting_of(observed).obstacles(observed)
    spec, platform = observed.service.spec, observed.platform
    if spec.autoscaling.type == ScalerType.KEDA and not platform.serves(SCALED_OBJECT):
        yield Obstacle(
            Reason.KEDA_MISSING,
            "autoscaling.type is keda, but the cluster does not serve scaledobjects.keda.sh, so "
            "nothing can be told to hold stable's size: install KEDA or choose another type.",
        )


def _unseen_endpoints(observed: Observed, status: RolloutStatus) -> Iterable[Obstacle]:
    """Stable has ready pods, and yet nothing is known of the endpoints they are."""
    if status.stable is None or _slices_of(observed, status.stable.slot):
        return
    if any(is_ready(pod) for pod in pods_of(observed, status.stable.slot)):
        service, slot = observed.service, status.stable.slot
        backend = names.predictor(service.name, service.namespace, slot)
        yield Obstacle(
            Reason.NO_ENDPOINTS,
            f"No EndpointSlice of Service {backend} was seen, though its pods are ready: does the "
            "operator's account have the right to list and watch endpointslices?",
        )


def _orders(annotations: Mapping[str, str]) -> Orders:
    found = {
        kind: order
        for kind in ORDERS
        if (order := _order(annotations.get(f"{names.GROUP}/rollout-{kind}"))) is not None
    }
    return Orders(**found)


def _order(text: str | None) -> Order | None:
    """Without a nonce it is an order all the same, so that it can be refused by an Event."""
    if not text:
        return None
    revision, _, nonce = text.partition("/")
    return Order(revision, nonce)


def _labels(obj: Json) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = (c for c in status.get("conditions") or () if c.get("type") == kind)
    return next(found, {})


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return None
