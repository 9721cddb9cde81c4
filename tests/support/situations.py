"""Situations of the operator's pure half, built as the API server would show them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService, parse
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.state import Assigned, RolloutStatus
from dfastllm_operator.core import Key, Platform, Resolved, Seen
from dfastllm_operator.kinds import CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE
from dfastllm_operator.observe import Observed
from dfastllm_operator.revision import new_revision, to_record
from dfastllm_operator.sizing import resources_of, size

HASH_LABEL = names.REVISION_LABEL
GATEWAY = "kserve/gateway"


def raw(spec: dict[str, Any], *, status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "dfastllm.io/v1alpha1",
        "kind": "DFastLLMService",
        "metadata": {
            "name": "demo",
            "namespace": "shop",
            "uid": "u-1",
            "generation": 3,
            "resourceVersion": "10",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"model": {"uri": "builtin://tiny"}, **spec},
        **({"status": status} if status is not None else {}),
    }


def trial(stable: str, candidate: str, since: datetime, *, floor: int) -> RolloutStatus:
    """A rollout whose candidate, in slot b, has had a tenth of the traffic since then."""
    return RolloutStatus(
        phase=RolloutPhase.ANALYZING,
        since=since,
        stable=Assigned(stable, "a"),
        candidate=Assigned(candidate, "b"),
        weight=10,
        confirmed=10,
        confirmed_at=since,
        step_since=since,
        exposed=True,
        replicas=1,
        floor=floor,
    )


def service(spec: dict[str, Any]) -> DFastLLMService:
    return parse(raw(spec))


def platform(**given: Any) -> Platform:
    return Platform(**{"server_image": "server:1", "runtime": "dfastllm", **given})


def observed(
    spec: dict[str, Any],
    seen: Sequence[Seen] = (),
    *,
    status: dict[str, Any] | None = None,
    on: Platform | None = None,
    rival: Key | None = None,
) -> Observed:
    """A service whose model has a known size."""
    body = raw(spec, status=status)
    parsed = parse(body)
    on = on or platform()
    sizing = None if not parsed.spec.model.built_in else size(parsed.spec, None)
    resolved = None
    if sizing is not None:
        requests, limits = resources_of(parsed.spec, sizing)
        resolved = Resolved(parsed.spec.image or on.server_image, requests, limits)
    return Observed(
        service=parsed,
        raw=body,
        seen=tuple(seen),
        platform=on,
        sizing=sizing,
        resolved=resolved,
        rival=rival,
    )


def record(spec: dict[str, Any], *, image: str = "server:1", render_version: int = 1) -> Seen:
    """The ControllerRevision of a spec."""
    parsed = service(spec)
    requests, limits = resources_of(parsed.spec, size(parsed.spec, None))
    revision = new_revision(parsed.spec, Resolved(image, requests, limits), render_version)
    metadata = {"name": names.revision("demo", revision.hash)}
    return Seen(CONTROLLER_REVISION, {"metadata": metadata, "data": to_record(revision)})


def deployment(
    revision: str, *, wanted: int = 1, ready: int = 1, updated: int | None = None, **status: Any
) -> Seen:
    """KServe's Deployment for slot a; complete unless said otherwise."""
    done = ready if updated is None else updated
    return Seen(
        DEPLOYMENT,
        {
            "metadata": {"name": "demo-a-predictor", "generation": 2},
            "spec": {
                "replicas": wanted,
                "template": {"metadata": {"labels": {HASH_LABEL: revision}}},
            },
            "status": {
                "observedGeneration": 2,
                "replicas": max(ready, done),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "updatedReplicas": done,
                **status,
            },
        },
    )


def route(*, accepted: str = "True", message: str = "") -> Seen:
    condition = {"type": "Accepted", "status": accepted, "message": message, "reason": "R"}
    return Seen(
        HTTP_ROUTE,
        {
            "metadata": {"name": "demo", "generation": 1},
            "status": {"parents": [{"conditions": [{**condition, "observedGeneration": 1}]}]},
        },
    )
