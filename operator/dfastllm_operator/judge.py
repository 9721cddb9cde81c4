"""Verdicts: one pure function for each condition that says something about a part.

What they judge is in `Situation`; how verdicts become a status is `status.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.apply import Trouble
from dfastllm_operator.canary.decision import Decision
from dfastllm_operator.canary.lingering import named
from dfastllm_operator.canary.phase import WITHDRAWING, RolloutPhase
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.conditions import Reason
from dfastllm_operator.decide import Plan
from dfastllm_operator.delivery.seen import address_of, going, pods_of
from dfastllm_operator.kinds import (
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    SCALED_OBJECT,
    SERVICE,
    Kind,
)
from dfastllm_operator.observe import Observed
from dfastllm_operator.resources.route import hostname_of, own_gateway
from dfastllm_operator.rollout import QUOTA, Rollout
from dfastllm_operator.symptoms import worst


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ok` None means that it is not known yet."""

    ok: bool | None
    reason: Reason
    message: str = ""

    @property
    def word(self) -> str:
        return {True: "True", False: "False", None: "Unknown"}[self.ok]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the verdicts look at. `overdue`: `startupTimeout` passed without a complete rollout.

    `canary` is the decision on a canary rollout; None for services that have none. `now` is when
    they look, None where that does not matter.
    """

    observed: Observed
    plan: Plan
    rollout: Rollout
    troubles: tuple[Trouble, ...] = ()
    overdue: bool = False
    canary: Decision | None = None
    now: datetime | None = None

    def trouble(self, *kinds: Kind) -> Trouble | None:
        return next((t for t in self.troubles if t.kind in kinds), None)

    @property
    def inference_service(self) -> str:
        service = self.observed.service
        return names.inference_service(service.name, service.namespace, self.plan.serving)

    def body(self, kind: Kind, name: str) -> dict[str, Any]:
        seen = self.observed.owned(kind, name)
        return seen.body if seen is not None else {}

    def condition(self, kind: Kind, name: str, condition: str) -> dict[str, Any]:
        """One condition of a child, empty if it has none."""
        found = (self.body(kind, name).get("status") or {}).get("conditions") or []
        return next((c for c in found if c.get("type") == condition), {})


def config(at: Situation) -> Verdict:
    problem = at.plan.problem
    if problem is not None:
        return Verdict(False, Reason.named(problem.reason), problem.message)
    refused = at.trouble(INFERENCE_SERVICE)
    if refused is not None and refused.terminal:
        return Verdict(False, Reason.REFUSED, refused.message)
    taken = next((t for t in at.troubles if t.reason is Reason.NAME_TAKEN), None)
    if taken is not None:
        return Verdict(False, Reason.NAME_TAKEN, taken.message)
    return Verdict(True, Reason.VALID)


def model(at: Situation) -> Verdict:
    if not at.observed.platform.serves(INFERENCE_SERVICE):
        return Verdict(
            False,
            Reason.KSERVE_MISSING,
            "The cluster does not serve inferenceservices.serving.kserve.io: install KServe; "
            "the service starts by itself then.",
        )
    if not at.plan.placements:
        return Verdict(None, Reason.BLOCKED, "Waits for ConfigReady.")
    if at.rollout.exists:
        return _replicas(at)
    if trouble := at.trouble(INFERENCE_SERVICE):
        reason = Reason.REFUSED if trouble.terminal else trouble.reason
        return Verdict(False, reason, trouble.message)
    return _without_deployment(at)


def _without_deployment(at: Situation) -> Verdict:
    name = at.inference_service
    status = at.body(INFERENCE_SERVICE, name).get("status") or {}
    failure = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    if failure.get("reason") in ("RuntimeNotRecognized", "NoSupportingRuntime", "RuntimeDisabled"):
        return Verdict(False, Reason.RUNTIME_NOT_FOUND, str(failure.get("message") or ""))
    said = at.condition(INFERENCE_SERVICE, name, "PredictorReady").get("message")
    return Verdict(
        False,
        Reason.WAITING_FOR_KSERVE,
        str(said or f"KServe has made no Deployment for InferenceService {name} yet."),
    )


def _replicas(at: Situation) -> Verdict:
    rollout = at.rollout
    if rollout.wanted == 0:
        return Verdict(False, Reason.SCALED_TO_ZERO, "replicas.min is 0.")
    count = f"{rollout.ready} of {rollout.wanted} replicas are ready."
    symptom = worst(rollout.pods)
    if rollout.ready >= rollout.wanted:
        return Verdict(True, Reason.LOADED, count)
    if rollout.ready:
        return Verdict(
            True, Reason.PARTLY_LOADED, f"{count} {symptom.message if symptom else ''}".strip()
        )
    if rollout.failure:
        quota = QUOTA in rollout.failure
        reason = Reason.QUOTA_EXCEEDED if quota else Reason.REFUSED
        return Verdict(False, reason, rollout.failure)
    if symptom is None:
        return Verdict(False, Reason.LOADING, count)
    if at.overdue and symptom.reason is Reason.LOADING:
        return Verdict(False, Reason.START_TIMED_OUT, f"Not within startupTimeout: {count}")
    return Verdict(False, symptom.reason, symptom.message)


def route(at: Situation) -> Verdict:
    service, platform = at.observed.service, at.observed.platform
    if not service.spec.ingress.enabled:
        return Verdict(True, Reason.INGRESS_DISABLED, "ingress.enabled is false.")
    if not at.plan.placements:
        return Verdict(None, Reason.BLOCKED, "Waits for ConfigReady.")
    gateway = own_gateway(service.spec, platform)
    if gateway is None:
        return _kserve_route(at)
    if not platform.serves(HTTP_ROUTE):
        return Verdict(
            False,
            Reason.GATEWAY_API_MISSING,
            f"The route is to hang on Gateway {gateway}, but the cluster does not serve "
            "httproutes.gateway.networking.k8s.io: install the Gateway API.",
        )
    if at.observed.rival is not None:
        return Verdict(
            False,
            Reason.HOSTNAME_TAKEN,
            f"The hostname {hostname_of(service, platform)} belongs to service "
            f"{at.observed.rival}; set ingress.hostname to another.",
        )
    if trouble := at.trouble(HTTP_ROUTE):
        return Verdict(False, trouble.reason, trouble.message)
    return _own_route(at, gateway)


def _kserve_route(at: Situation) -> Verdict:
    service = at.observed.service
    if service.spec.ingress.hostname:
        return Verdict(
            False,
            Reason.NO_GATEWAY,
            f"ingress.hostname is {service.spec.ingress.hostname}, but no Gateway is configured, "
            "and KServe's ingress names hosts itself: set ingress.gateway, or leave the hostname "
            "out.",
        )
    name = at.inference_service
    ready = at.condition(INFERENCE_SERVICE, name, "IngressReady")
    if ready.get("status") == "True":
        return Verdict(True, Reason.KSERVE_INGRESS)
    return Verdict(
        None if not ready else False,
        Reason.ROUTE_PENDING,
        str(ready.get("message") or ready.get("reason") or "KServe has made no route yet."),
    )


def _own_route(at: Situation, gateway: str) -> Verdict:
    name = names.dns_label(at.observed.service.name)
    body = at.body(HTTP_ROUTE, name)
    generation = (body.get("metadata") or {}).get("generation")
    parents = (body.get("status") or {}).get("parents") or []
    conditions = [
        c
        for parent in parents
        for c in parent.get("conditions") or []
        if c.get("type") in ("Accepted", "ResolvedRefs")
    ]
    # What the gateway took over serves on until it has looked at the present form.
    current = [c for c in conditions if c.get("observedGeneration", generation) == generation]
    refused = next((c for c in current if c.get("status") == "False"), None)
    if refused is not None:
        said = refused.get("message") or refused.get("reason")
        if _too_early(at, refused):
            return Verdict(False, Reason.ROUTE_PENDING, f"Gateway {gateway} waits: {said}")
        return Verdict(False, Reason.ROUTE_NOT_ACCEPTED, f"Gateway {gateway}: {said}")
    if not any(c.get("type") == "Accepted" and c.get("status") == "True" for c in conditions):
        return Verdict(
            False,
            Reason.ROUTE_PENDING,
            f"Gateway {gateway} has not accepted the route yet; does it exist, and does it allow "
            f"routes from namespace {at.observed.service.namespace}?",
        )
    return Verdict(True, Reason.ACCEPTED, f"Gateway {gateway}")


def _too_early(at: Situation, refused: dict[str, Any]) -> bool:
    """Whether the gateway only misses what KServe makes a moment later."""
    if not at.rollout.exists:
        return True
    unresolved = refused.get("type") == "ResolvedRefs"
    return unresolved and not at.overdue and not at.rollout.complete


def scaler(at: Situation) -> Verdict:
    scaling = at.observed.service.spec.autoscaling
    if not at.plan.placements and scaling.type in ("hpa", "keda"):
        return Verdict(None, Reason.BLOCKED, "Waits for ConfigReady.")
    if scaling.type == "none":
        return Verdict(True, Reason.FIXED, _fewer(at))
    if scaling.type == "external":
        return Verdict(True, Reason.EXTERNAL)
    if trouble := at.trouble(HPA, SCALED_OBJECT):
        return Verdict(False, trouble.reason, trouble.message)
    return _keda(at) if scaling.type == "keda" else _hpa(at)


def _fewer(at: Situation) -> str:
    asked = at.observed.service.spec.replicas.min
    given = at.plan.placements[0].replicas if at.plan.placements else None
    if given is None or given >= asked:
        return ""
    return f"rollout.maxGPUs leaves {given} of {asked} replicas."


def _keda(at: Situation) -> Verdict:
    if not at.observed.platform.serves(SCALED_OBJECT):
        return Verdict(
            False,
            Reason.KEDA_MISSING,
            "autoscaling.type is keda, but the cluster does not serve scaledobjects.keda.sh: "
            "install KEDA or choose another type.",
        )
    ready = at.condition(SCALED_OBJECT, names.dns_label(at.observed.service.name), "Ready")
    if not ready or ready.get("status") == "Unknown":
        return Verdict(None, Reason.SCALER_PENDING, "KEDA has not reported yet.")
    if ready.get("status") == "True":
        return Verdict(True, Reason.SCALING)
    return Verdict(False, Reason.SCALER_FAILED, str(ready.get("message") or ready.get("reason")))


def _hpa(at: Situation) -> Verdict:
    cpu = at.observed.service.spec.autoscaling.metric == "cpu"
    group = "metrics.k8s.io" if cpu else "custom.metrics.k8s.io"
    if group not in at.observed.platform.metrics_apis:
        who = "metrics-server" if cpu else "the Prometheus adapter"
        return Verdict(
            False,
            Reason.METRICS_API_MISSING,
            f"The autoscaler needs the API {group}, which the cluster does not serve: "
            f"install {who}.",
        )
    name = names.dns_label(at.observed.service.name)
    for condition in ("AbleToScale", "ScalingActive"):
        found = at.condition(HPA, name, condition)
        if not found:
            return Verdict(None, Reason.SCALER_PENDING, "The autoscaler has not reported yet.")
        if found.get("status") == "False" and found.get("reason") != "ScalingDisabled":
            return Verdict(False, Reason.SCALER_FAILED, str(found.get("message")))
    return Verdict(True, Reason.SCALING)


def canary_blocked(decision: Decision) -> Verdict:
    if decision.blocked is None:
        return Verdict(False, Reason.NOT_BLOCKED)
    return Verdict(True, Reason.named(decision.blocked.reason), decision.blocked.message)


def canary_progress(at: Situation) -> Verdict | None:
    """None when no canary is under way, and none is held.

    What keeps the candidate from being ready is said at once, long before it ends the rollout, and
    so are pods that a rollout waits for and that do not go.
    """
    decision = at.canary
    if decision is None:
        return None
    if decision.blocked is not None:
        return Verdict(False, Reason.BLOCKED, decision.blocked.message)
    status = decision.status
    if decision.recording:
        return Verdict(
            True, Reason.ROLLING_OUT, f"Revision {decision.recording} has been asked for."
        )
    if status.phase in (RolloutPhase.STABLE, RolloutPhase.FAILED):
        return None
    parts = [f"{status.phase}: {status.phase.description}"]
    if status.candidate is not None:
        parts.append(f"Revision {status.candidate.revision} has {status.weight} % of the traffic.")
        symptom = worst(pods_of(at.observed, status.candidate.slot))
        if symptom is not None:
            parts.append(symptom.message)
    if status.message:
        parts.append(status.message)
    parts += [_address_left_behind(at, status), _late_pods(at)]
    return Verdict(True, Reason.ROLLING_OUT, " ".join(part for part in parts if part))


def _address_left_behind(at: Situation, status: RolloutStatus) -> str:
    """Told by what is there now: the writes of this look may have switched it."""
    taken = status.candidate if status.phase in WITHDRAWING else None
    left = status.leaving or taken
    if left is None or address_of(at.observed) != left.slot:
        return ""
    name = names.dns_label(at.observed.service.name)
    refused = at.trouble(SERVICE)
    why = f" {refused.message}" if refused else ""
    return (
        f"Service {name} still selects slot {left.slot}, so clients inside the cluster are "
        f"there, and it stays.{why}"
    )


def _late_pods(at: Situation) -> str:
    if at.now is None:
        return ""
    pods = [pod for slot in names.SLOTS for pod in pods_of(at.observed, slot)]
    return named(going(pods), at.now)


def canary_failed(decision: Decision | None) -> Verdict | None:
    """What serves is stable; the failed revision is not tried again by itself."""
    if decision is None or decision.status.phase is not RolloutPhase.FAILED:
        return None
    status = decision.status
    assert status.stable is not None, "or nothing could have failed beside it"
    return Verdict(
        True,
        Reason.ROLLOUT_FAILED,
        f"Revision {status.failed} was rolled back ({status.cause}): {status.message.rstrip('.')}. "
        f"Revision {status.stable.revision} serves.",
    )
