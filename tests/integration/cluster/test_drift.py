"""What is deleted, edited or replaced comes back; what belongs to others is left alone."""

import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest

from cluster.rig import Rig
from dfastllm_operator import names
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    NETWORK_POLICY,
    OWNED,
    POD_MONITOR,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_RESOURCE,
    Kind,
)
from support.faults import Delay
from support.kubeapi import Json
from support.looks import look, quiet
from support.operators import Stage, staged
from support.process import until
from support.services import Services, condition

FULL: Json = {
    "replicas": {"min": 2, "max": 4},
    "autoscaling": {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}},
    "monitoring": {"enabled": True},
    "networkPolicy": {"enabled": True},
}
"""A service with a child of every kind; of the two scalers it can have one."""

KINDS = [kind for kind in OWNED if kind is not HPA]
QUIET_S = 3.0
MANY_REPAIRS = 20
FOREIGN = {"example.com/foreign": "yes"}

# A change to a field that the operator owns, in what Kubernetes lets one change.
TAMPERING: dict[Kind, Json] = {
    CONTROLLER_REVISION: {"metadata": {"labels": {names.REVISION_LABEL: "wrong"}}},
    CONFIG_MAP: {"metadata": {"labels": {names.REVISION_LABEL: "wrong"}}},
    SERVICE_ACCOUNT: {"automountServiceAccountToken": True},
    INFERENCE_SERVICE: {"spec": {"predictor": {"timeout": 7}}},
    SERVICE: {"spec": {"selector": {"app": "wrong"}}},
    HTTP_ROUTE: {"spec": {"hostnames": ["wrong.example.com"]}},
    SCALED_OBJECT: {"spec": {"maxReplicaCount": 99}},
    DISRUPTION_BUDGET: {"spec": {"maxUnavailable": 2}},
    NETWORK_POLICY: {"spec": {"policyTypes": ["Ingress", "Egress"]}},
    POD_MONITOR: {"spec": {"podTargetLabels": ["wrong"]}},
}


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        stage.services.create(**FULL)
        yield stage


@pytest.fixture(scope="module")
def calm(stage: Stage) -> Json:
    """The state of the one service before any test."""
    return stage.services.settled()


@pytest.fixture
def services(stage: Stage, calm: Json) -> Iterator[Services]:
    """The one service, which comes back to what it was after each test."""
    yield stage.services
    stage.services.come_to(calm)


def _child(services: Services, kind: Kind) -> Json:
    (body,) = [body for other, body in services.owned() if other is kind]
    return body


def _wanted(body: Json) -> Json:
    """Content and marks of a child, without what the API server adds."""
    metadata = body["metadata"]
    marks = {"labels": metadata.get("labels"), "owners": metadata.get("ownerReferences")}
    return {**_content(body), **marks}


def _content(body: Json) -> Json:
    """Items of a list do not say what they are, so that is left out."""
    others = ("apiVersion", "kind", "metadata", "status")
    return {key: value for key, value in body.items() if key not in others}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_deleted_child_is_made_again(kind: Kind, services: Services) -> None:
    body = _child(services, kind)
    services.api.delete(kind, services.namespace, body["metadata"]["name"])
    until(lambda: _made_anew(services, kind, body), f"{kind} again")


def test_children_deleted_in_the_middle_of_a_repair_are_made_again(
    stage: Stage, services: Services
) -> None:
    """Their end is heard of while the operator works with the objects as they were before."""
    quiet(stage)
    rule = stage.proxy.fault(Delay(1.0), resource="configmaps", verbs=("patch",), times=1)
    config = _child(services, CONFIG_MAP)
    services.api.delete(CONFIG_MAP, services.namespace, config["metadata"]["name"])
    until(lambda: rule.hits, "the repair has begun")
    victims = [(kind, _child(services, kind)) for kind in (SERVICE_ACCOUNT, SERVICE)]
    for kind, _ in victims:
        services.api.delete(kind, services.namespace, "demo")
    for kind, victim in victims:
        until(partial(_made_anew, services, kind, victim), f"{kind} again")
    stage.proxy.remove(rule)


def _made_anew(services: Services, kind: Kind, before: Json) -> bool:
    now = services.child(kind, before["metadata"]["name"])
    return now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_edited_child_is_put_right(kind: Kind, services: Services) -> None:
    body = _child(services, kind)
    name = body["metadata"]["name"]
    services.api.merge(kind, services.namespace, name, TAMPERING[kind])
    until(lambda: _wanted(_child(services, kind)) == _wanted(body), f"{kind} {name} as it was")
    assert _child(services, kind)["metadata"]["uid"] == body["metadata"]["uid"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_labels_and_the_owner_are_put_back(kind: Kind, services: Services) -> None:
    """Without them the operator's watch does not show the object any more."""
    body = _child(services, kind)
    name = body["metadata"]["name"]
    bare = {"metadata": {"labels": None, "ownerReferences": None}}
    services.api.merge(kind, services.namespace, name, bare)
    until(lambda: _wanted(services.child(kind, name) or body | bare) == _wanted(body), "as it was")


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_foreign_object_in_place_of_a_child_is_reported_and_left_alone(
    kind: Kind, stage: Stage, services: Services
) -> None:
    body = _child(services, kind)
    name = body["metadata"]["name"]
    stage.operator.signal(signal.SIGSTOP)  # it would be faster
    try:
        services.api.delete(kind, services.namespace, name)
        until(lambda: services.child(kind, name) is None, f"{kind} {name} gone")
        foreign = {
            **_content(body),
            "metadata": {"name": name, "annotations": FOREIGN},
        }
        if kind is SERVICE:
            foreign["spec"] = {"ports": [{"port": 1}]}
        services.api.create(kind, services.namespace, foreign)
    finally:
        stage.operator.signal(signal.SIGCONT)
    until(lambda: _named(services, kind, name), f"{kind} {name} reported")
    left = services.api.get(kind, services.namespace, name)
    assert left["metadata"]["annotations"]["example.com/foreign"] == "yes"
    assert not left["metadata"].get("ownerReferences")
    services.api.delete(kind, services.namespace, name)
    until(lambda: services.child(kind, name) is None or _owned(services, kind, name))


def _named(services: Services, kind: Kind, name: str) -> bool:
    status = services.get()["status"]
    taken = [c for c in status["conditions"] if c["reason"] == "NameTaken"]
    return any(f"{kind} {name}" in c["message"] for c in taken)


def _owned(services: Services, kind: Kind, name: str) -> bool:
    found = services.child(kind, name)
    return found is not None and bool(found["metadata"].get("ownerReferences"))


def test_who_writes_back_every_time_is_named_and_not_fought(
    stage: Stage, services: Services
) -> None:
    """A second controller that insists on its own host name."""
    services.create("fought")
    services.ready("fought")
    stubborn = TAMPERING[HTTP_ROUTE]

    def contested() -> bool:
        services.api.merge(HTTP_ROUTE, services.namespace, "fought", stubborn)
        return bool(condition(services.get("fought"), "Degraded")["reason"] == "Contested")

    before = len(stage.proxy.ledger.writes)
    until(contested, "the fight is given up", every_s=0.2)
    assert "hostnames" in condition(services.get("fought"), "Degraded")["message"]
    repairs = [call for call in stage.proxy.ledger.writes[before:] if call.resource == "httproutes"]
    assert len(repairs) < MANY_REPAIRS
    services.delete("fought")


def test_fields_of_others_stay(services: Services) -> None:
    for kind, body in services.owned():
        patch = {"metadata": {"annotations": FOREIGN, "labels": {"foreign": "yes"}}}
        services.api.merge(kind, services.namespace, body["metadata"]["name"], patch)
    services.edit(ingress={"timeout": "7m"}, monitoring={"interval": "7s"})
    until(lambda: services.get()["status"]["observedGeneration"] == _generation(services))
    services.edit(ingress={"timeout": None}, monitoring={"interval": None})
    until(lambda: services.get()["status"]["observedGeneration"] == _generation(services))
    for kind, body in services.owned():
        assert body["metadata"]["annotations"]["example.com/foreign"] == "yes", kind
        assert body["metadata"]["labels"]["foreign"] == "yes", kind
        bare = {"annotations": dict.fromkeys(FOREIGN), "labels": {"foreign": None}}
        services.api.merge(kind, services.namespace, body["metadata"]["name"], {"metadata": bare})


def _generation(services: Services) -> int:
    return int(services.get()["metadata"]["generation"])


def test_replicas_under_a_scaler_are_the_scalers(services: Services) -> None:
    def scale(replicas: int) -> None:
        name = names.predictor("demo", services.namespace, "a")
        patch = {"spec": {"replicas": replicas}}
        services.api.merge(DEPLOYMENT, services.namespace, name, patch)
        until(lambda: services.get()["status"]["readyReplicas"] == replicas)

    before = services.deployment()["spec"]["replicas"]
    scale(4)
    services.edit(ingress={"timeout": "8m"})
    until(lambda: services.inference_service()["spec"]["predictor"]["timeout"] == 480)
    services.edit(ingress={"timeout": None})
    until(lambda: services.inference_service()["spec"]["predictor"]["timeout"] == 600)
    assert services.deployment()["spec"]["replicas"] == 4
    scale(before)


def test_a_status_edited_by_hand_is_put_right(services: Services) -> None:
    wrong = {"status": {"phase": "Failed", "conditions": [], "revision": "wrong"}}
    services.api.merge(SERVICE_RESOURCE, services.namespace, "demo", wrong, "status")


def test_nothing_is_written_while_nothing_changes(stage: Stage, services: Services) -> None:
    quiet(stage)
    before = len(stage.proxy.ledger.writes)
    time.sleep(QUIET_S)
    assert stage.proxy.ledger.writes[before:] == []


def test_another_look_at_the_service_writes_nothing(stage: Stage, services: Services) -> None:
    quiet(stage)
    assert look(stage) == []
