"""The operator is granted what it uses and uses what it is granted: verb by verb, on record."""

from collections.abc import Iterator
from functools import partial

import pytest

from cluster.rig import Rig
from dfastllm_operator import rbac
from dfastllm_operator.kinds import (
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    NETWORK_POLICY,
    POD_MONITOR,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_RESOURCE,
    Kind,
)
from support.kubeapi import Json
from support.operators import Stage, staged
from support.process import until

EVERYBODY = {("authorization.k8s.io", "selfsubjectaccessreviews", "create")}
"""What every account may do, by Kubernetes' own system:basic-user."""

KEDA: Json = {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}}
FULL: Json = {
    "replicas": {"min": 2, "max": 4},
    "autoscaling": {"type": "hpa"},
    "monitoring": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "auth": {"apiKeysSecretRef": {"name": "keys"}},
}
NOTHING: Json = {
    "replicas": None,
    "autoscaling": None,
    "monitoring": None,
    "networkPolicy": None,
    "ingress": {"enabled": False},
    "serviceAccountName": "default",
    "env": [{"name": "NEW", "value": "1"}],
    "rollout": {"revisionHistoryLimit": 0},
}


@pytest.fixture(params=[False, True], ids=["namespaced", "clusterwide"])
def stage(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged(rig, start=False, clusterwide=request.param) as stage:
        stage.start(leader_elect=True)
        yield stage


def test_recorded_requests_and_granted_permissions_are_the_same(stage: Stage) -> None:
    _use_everything(stage)
    granted = {tuple(p) for p in rbac.permissions((*rbac.SERVICES, *rbac.LEADERSHIP))}
    assert stage.proxy.ledger.permissions - EVERYBODY == granted
    here = [e for e in stage.proxy.ledger.calls if e.call.namespace == stage.namespace]
    assert [entry for entry in here if entry.status == 403] == []
    if not stage.clusterwide:
        asked = [e.call for e in stage.proxy.ledger.calls if e.call.resource]
        outside = {call for call in asked if call.namespace != stage.namespace}
        assert {call.permission for call in outside} <= EVERYBODY


def _use_everything(stage: Stage) -> None:
    """One service through all it can be, so that each kind comes, changes and goes."""
    services = stage.services
    secret = {"metadata": {"name": "keys"}, "stringData": {"alice": "token"}}
    services.api.create(SECRET, stage.namespace, secret)
    services.create(**FULL)
    services.wait("Ready", "True")
    services.edit(autoscaling=KEDA)
    until(lambda: services.child(SCALED_OBJECT, "demo"), "a ScaledObject")
    until(lambda: services.child(HPA, "demo") is None, "no HorizontalPodAutoscaler")
    services.edit(**NOTHING)
    services.settled()
    for kind in (SCALED_OBJECT, POD_MONITOR, NETWORK_POLICY, HTTP_ROUTE, SERVICE_ACCOUNT):
        assert services.child(kind, "demo") is None, kind
    _grow_a_candidate(stage)
    _leave_strays(stage)
    _lose_an_owner(stage)
    _miss_an_event(stage)


def _grow_a_candidate(stage: Stage) -> None:
    """Beside a scaler its size is written to its Deployment."""
    services = stage.services
    steps = [{"weight": 10, "replicas": 2}]
    rollout = {"strategy": "Canary", "steps": steps}
    services.create("grown", replicas={"max": 2}, autoscaling=KEDA, rollout=rollout)
    services.ready("grown")
    until(lambda: services.get("grown")["status"].get("rollout"), "a revision to begin from")
    services.edit("grown", decoding={"threshold": 0.8})
    until(lambda: len(services.pods("grown")) == 3, "a candidate of two pods")
    services.delete("grown")


def _leave_strays(stage: Stage) -> None:
    """Objects that an earlier version may have made: marked as ours, wanted no more."""
    services = stage.services
    owned = {(kind, body["metadata"]["name"]): body for kind, body in services.owned()}
    contents: dict[Kind, Json] = {
        SERVICE: {"spec": {"ports": [{"port": 80}]}},
        INFERENCE_SERVICE: owned[INFERENCE_SERVICE, "demo-a"],
    }
    for kind, content in contents.items():
        metadata = owned[SERVICE, "demo"]["metadata"]
        marks = {key: metadata[key] for key in ("labels", "ownerReferences")}
        body = {"spec": content["spec"], "metadata": {"name": "stray", **marks}}
        services.api.create(kind, stage.namespace, body)
        until(partial(_gone, stage, kind), f"no stray {kind}")


def _gone(stage: Stage, kind: Kind) -> bool:
    return stage.services.child(kind, "stray") is None


def _lose_an_owner(stage: Stage) -> None:
    """A child is given back to a service only after a look at that service."""
    orphaned = {"metadata": {"ownerReferences": None}}
    stage.api.merge(SERVICE, stage.namespace, "demo", orphaned)
    until(partial(_owned, stage), "an owner")


def _owned(stage: Stage) -> bool:
    service = stage.api.get(SERVICE, stage.namespace, "demo")
    return bool(service["metadata"].get("ownerReferences"))


def _miss_an_event(stage: Stage) -> None:
    """What the watch of services did not tell is found by listing them, and fetched."""
    stage.proxy.silence_watches(SERVICE_RESOURCE.plural)
    stage.services.edit(monitoring={"enabled": True})
    until(lambda: stage.services.child(POD_MONITOR, "demo"), "a PodMonitor")
