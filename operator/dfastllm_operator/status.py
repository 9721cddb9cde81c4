"""The whole status of a CR, computed in one place from one situation.

Pure. Times come in as text and are kept from the last status where nothing changed, so an equal
situation gives an equal status and nothing is written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dfastllm_operator import judge, names
from dfastllm_operator.conditions import ConditionType, Phase, Reason
from dfastllm_operator.core import Json
from dfastllm_operator.judge import Situation, Verdict
from dfastllm_operator.kinds import INFERENCE_SERVICE, POD_MONITOR, SERVICE
from dfastllm_operator.resources.route import hostname_of, own_gateway
from dfastllm_operator.resources.summary import gpu_text
from dfastllm_operator.rollout import started
from dfastllm_operator.symptoms import worst

NOT_A_FAULT = frozenset({Reason.ROUTE_PENDING, Reason.SCALER_PENDING, Reason.SCALED_TO_ZERO})
"""A part that is not ready for one of these reasons makes no service Degraded."""


OF_WHAT_SERVES = ("model", "gpu", "sizing", "url", "address")


def compose(at: Situation, now: str) -> Json:
    """The status that `at` amounts to."""
    verdicts = _verdicts(at)
    old = at.observed.status
    status: Json = {
        "observedGeneration": at.observed.service.generation,
        "phase": str(_phase(at, verdicts)),
        "conditions": conditions(verdicts, old, at.observed.service.generation, now),
        **_numbers(at),
        **_revisions(at, now),
        **_addresses(at),
    }
    if at.observed.sizing is not None:
        status["sizing"] = at.observed.sizing.to_status()
    elif old.get("sizing"):
        status["sizing"] = old["sizing"]
    if old.get("rollout"):
        status["rollout"] = old["rollout"]  # written by its moves alone
    if at.observed.service.spec.paused:  # what is there, not what the spec would make of it
        status |= {key: old[key] for key in OF_WHAT_SERVES if key in old}
    if error := _last_error(verdicts, old, now):
        status["lastError"] = error
    return status


def refused(raw: Json, reason: Reason, message: str, now: str) -> Json:
    """The status of a CR whose spec cannot be read: what is known stays, ConfigReady is False."""
    old = raw.get("status") or {}
    generation = raw["metadata"].get("generation")
    serving = any(
        c.get("type") == ConditionType.READY and c.get("status") == "True"
        for c in old.get("conditions") or []
    )
    verdicts = {
        ConditionType.CONFIG_READY: Verdict(False, reason, message),
        ConditionType.PROGRESSING: Verdict(False, Reason.BLOCKED, "Waits for ConfigReady."),
        ConditionType.DEGRADED: Verdict(serving, Reason.UPDATE_BLOCKED, message)
        if serving
        else Verdict(True, reason, message),
    }
    if not serving:
        verdicts[ConditionType.READY] = Verdict(False, reason, message)
    kept = [
        c for c in old.get("conditions") or [] if c.get("type") not in {str(t) for t in verdicts}
    ]
    return {
        **old,
        "observedGeneration": generation,
        "phase": str(Phase.DEGRADED if serving else Phase.FAILED),
        "conditions": [*conditions(verdicts, old, generation, now), *kept],
        "lastError": _error(message, old, now),
    }


def conditions(
    verdicts: Mapping[ConditionType, Verdict], old: Mapping[str, Any], generation: Any, now: str
) -> list[Json]:
    """Verdicts as conditions; `lastTransitionTime` moves only when the status does."""
    before = {c.get("type"): c for c in old.get("conditions") or []}
    result = []
    for kind, verdict in verdicts.items():
        last = before.get(str(kind)) or {}
        since = last.get("lastTransitionTime") if last.get("status") == verdict.word else None
        result.append(
            {
                "type": str(kind),
                "status": verdict.word,
                "reason": str(verdict.reason),
                "message": verdict.message[:1024],
                "observedGeneration": generation,
                "lastTransitionTime": since or now,
            }
        )
    return result


def merge_patch(old: Mapping[str, Any], new: Json) -> Json:
    """The patch that makes `old` exactly `new`, whoever wrote what is in it."""
    patch: Json = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            patch[key] = merge_patch(before, value)
        else:
            patch[key] = value
    return patch


def _verdicts(at: Situation) -> dict[ConditionType, Verdict]:
    parts = {
        ConditionType.CONFIG_READY: judge.config(at),
        ConditionType.MODEL_READY: judge.model(at),
        ConditionType.ROUTE_READY: judge.route(at),
        ConditionType.SCALER_READY: judge.scaler(at),
    }
    progressing = _progressing(at, parts)
    return {
        ConditionType.READY: _ready(parts),
        ConditionType.PROGRESSING: progressing,
        ConditionType.DEGRADED: _degraded(at, parts, progressing),
        **parts,
        **(
            {ConditionType.ROLLOUT_BLOCKED: judge.canary_blocked(at.canary)}
            if at.canary is not None
            else {}
        ),
    }


def _ready(parts: Mapping[ConditionType, Verdict]) -> Verdict:
    """Serves: a replica is ready and clients reach it, whatever else is wrong."""
    needed = (ConditionType.MODEL_READY, ConditionType.ROUTE_READY)
    config = parts[ConditionType.CONFIG_READY]
    if config.reason is Reason.NAME_TAKEN:  # its address may lead to somebody else's pods
        return Verdict(False, config.reason, config.message)
    if all(parts[kind].ok for kind in needed):
        return Verdict(True, Reason.SERVING)
    for kind in (ConditionType.CONFIG_READY, *needed):
        if parts[kind].ok is not True:
            return Verdict(False, parts[kind].reason, parts[kind].message)
    raise AssertionError("one of the needed parts is not ready")


def _progressing(at: Situation, parts: Mapping[ConditionType, Verdict]) -> Verdict:
    if at.observed.service.spec.paused:
        return Verdict(False, Reason.PAUSED, "spec.paused is true: nothing is changed or repaired.")
    config = parts[ConditionType.CONFIG_READY]
    if config.ok is False:
        return Verdict(False, Reason.BLOCKED, config.message)
    if (canary := judge.canary_progress(at)) is not None:
        return canary
    if at.rollout.complete:
        return Verdict(False, Reason.COMPLETE)
    model = parts[ConditionType.MODEL_READY]
    if model.reason in (Reason.KSERVE_MISSING, Reason.REFUSED, Reason.RUNTIME_NOT_FOUND):
        return Verdict(False, Reason.BLOCKED, model.message)
    count = f"{at.rollout.updated} of {at.rollout.wanted} replicas of the wanted revision serve."
    symptom = worst(at.rollout.updated_pods)
    if symptom is not None:
        count = f"{count} {symptom.message}"
    if at.overdue:
        return Verdict(False, Reason.STALLED, f"Not within startupTimeout: {count}")
    first = not at.observed.status.get("revision")
    return Verdict(True, Reason.CREATING if first else Reason.ROLLING_OUT, count)


def _degraded(
    at: Situation, parts: Mapping[ConditionType, Verdict], progressing: Verdict
) -> Verdict:
    config, scaler = parts[ConditionType.CONFIG_READY], parts[ConditionType.SCALER_READY]
    if config.ok is False:
        kept = at.plan.problem is not None or config.reason is Reason.REFUSED
        held = kept and parts[ConditionType.MODEL_READY].ok
        return Verdict(True, Reason.UPDATE_BLOCKED if held else config.reason, config.message)
    if at.troubles:
        return Verdict(True, at.troubles[0].reason, at.troubles[0].message)
    if at.observed.blind:
        return Verdict(True, Reason.PERMISSION_MISSING, at.observed.blind)
    for verdict in (parts[ConditionType.MODEL_READY], parts[ConditionType.ROUTE_READY], scaler):
        starting = verdict.reason in (Reason.LOADING, Reason.WAITING_FOR_KSERVE)
        if verdict.ok is False and not starting and verdict.reason not in NOT_A_FAULT:
            return Verdict(True, verdict.reason, verdict.message)
    if (failed := judge.canary_failed(at.canary)) is not None:
        return failed
    monitoring = at.observed.service.spec.monitoring.enabled
    if monitoring and not at.observed.platform.serves(POD_MONITOR):
        return Verdict(
            True,
            Reason.MONITORING_MISSING,
            "monitoring.enabled is true, but the cluster does not serve podmonitors."
            "monitoring.coreos.com: install the Prometheus operator or set it to false.",
        )
    symptom = worst(at.rollout.updated_pods)
    if symptom is not None and symptom.fatal:
        return Verdict(True, symptom.reason, symptom.message)
    if progressing.reason is Reason.STALLED:
        return Verdict(True, Reason.STALLED, progressing.message)
    if not progressing.ok and at.rollout.ready < at.rollout.wanted:
        model = parts[ConditionType.MODEL_READY]
        return Verdict(True, Reason.REPLICAS_MISSING, model.message)
    return Verdict(False, Reason.AS_EXPECTED)


def _phase(at: Situation, verdicts: Mapping[ConditionType, Verdict]) -> Phase:
    ready, degraded = verdicts[ConditionType.READY], verdicts[ConditionType.DEGRADED]
    progressing = verdicts[ConditionType.PROGRESSING]
    if at.observed.service.spec.paused:
        return Phase.PAUSED
    if verdicts[ConditionType.MODEL_READY].reason is Reason.SCALED_TO_ZERO:
        return Phase.STOPPED
    if ready.ok:
        if degraded.ok:
            return Phase.DEGRADED
        return Phase.UPDATING if progressing.ok else Phase.READY
    route = verdicts[ConditionType.ROUTE_READY]
    if progressing.ok or route.reason is Reason.ROUTE_PENDING:
        return Phase.STARTING
    if verdicts[ConditionType.MODEL_READY].ok:
        return Phase.FAILED  # it runs, and nobody reaches it
    blocked = progressing.reason in (Reason.BLOCKED, Reason.STALLED)
    return Phase.FAILED if blocked and at.rollout.exists else Phase.PENDING


def _numbers(at: Situation) -> Json:
    service = at.observed.service
    serving = names.predictor(service.name, service.namespace, at.plan.serving)
    return {
        "replicas": at.rollout.replicas,
        "readyReplicas": at.rollout.ready,
        "selector": f"app={names.app_label(serving)}",  # of the pods that are counted
        "model": at.plan.spec.model.uri,
        "gpu": gpu_text(at.plan.placements[0].revision if at.plan.placements else None),
    }


def _revisions(at: Situation, now: str) -> Json:
    old = at.observed.status
    if not at.plan.placements:
        return {}
    placement = at.plan.placements[0]
    if at.observed.service.spec.paused and old.get("updatedRevision"):
        kept = ("revision", "updatedRevision", "updateStarted", "slot", "renderVersion")
        return {k: old[k] for k in kept if k in old}
    wanted = placement.revision.hash
    revision = wanted if at.rollout.complete else old.get("revision")
    return {
        **({"revision": revision} if revision else {}),
        "updatedRevision": wanted,
        "updateStarted": started(old, wanted, at.rollout, now),
        "slot": placement.slot,
        "renderVersion": placement.revision.render_version,
    }


def _addresses(at: Situation) -> Json:
    service, platform = at.observed.service, at.observed.platform
    if not at.plan.placements or at.trouble(SERVICE) is not None:
        return {}
    local = f"{names.dns_label(service.name)}.{service.namespace}.svc.{platform.cluster_domain}"
    found: Json = {"address": {"url": f"http://{local}"}}
    if not service.spec.ingress.enabled:
        return found
    if own_gateway(service.spec, platform) is not None:
        found["url"] = f"{platform.url_scheme}://{hostname_of(service, platform)}"
        return found
    url = (at.body(INFERENCE_SERVICE, at.inference_service).get("status") or {}).get("url")
    if url:
        found["url"] = str(url)
    return found


def _last_error(
    verdicts: Mapping[ConditionType, Verdict], old: Mapping[str, Any], now: str
) -> Json | None:
    degraded = verdicts[ConditionType.DEGRADED]
    if degraded.ok and degraded.message:
        return _error(degraded.message, old, now)
    return dict(old["lastError"]) if old.get("lastError") else None


def _error(message: str, old: Mapping[str, Any], now: str) -> Json:
    last = old.get("lastError") or {}
    text = message[:1024]
    return dict(last) if last.get("message") == text else {"message": text, "time": now}


def condition(status: Mapping[str, Any], kind: ConditionType) -> Mapping[str, Any]:
    """One condition of a status, empty if it is not there."""
    found: Sequence[Mapping[str, Any]] = status.get("conditions") or []
    return next((c for c in found if c.get("type") == str(kind)), {})
