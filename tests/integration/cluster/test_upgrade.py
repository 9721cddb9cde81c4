"""A new operator restarts no service of the old one, and can be taken back."""

from collections.abc import Iterator

import pytest

from cluster.nodes import HOLD
from cluster.rig import Rig
from dfastllm_operator import names
from dfastllm_operator.kinds import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, Kind
from support.kubeapi import Json
from support.looks import look, looks, quiet
from support.next_operator import MARK, VERSION
from support.operators import Operator, Stage, staged
from support.process import until
from support.services import condition

NEXT = ("-m", "support.next_operator")
NEXT_IMAGE = "localhost/dfastllm-server:next"
VOLUME = Kind("", "v1", "PersistentVolume", "persistentvolumes")
CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
ON_A_VOLUME = {"uri": "pvc://models/llada-8b", "size": {"parameters": "8B", "layers": 32}}
SERVICES = ("built-in", "on-a-volume", "midway")
MEMORY = {"storage": "1Gi"}
EDIT = {"env": [{"name": "MORE", "value": "1"}]}


@pytest.fixture
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


@pytest.fixture
def volume(stage: Stage) -> Iterator[None]:
    """With the claim `models`."""
    name, modes = f"models-{stage.namespace}", ["ReadWriteMany"]
    spec = {"accessModes": modes, "storageClassName": ""}
    path = {"hostPath": {"path": "/models"}, "capacity": MEMORY}
    claim = {"volumeName": name, "resources": {"requests": MEMORY}}
    stage.api.create(VOLUME, "", {"metadata": {"name": name}, "spec": {**spec, **path}})
    body = {"metadata": {"name": "models"}, "spec": {**spec, **claim}}
    stage.api.create(CLAIM, stage.namespace, body)
    yield
    stage.api.delete(VOLUME, "", name)


@pytest.fixture
def served(stage: Stage, volume: None) -> Stage:
    """With three services of the old operator, one of them in the middle of an update."""
    services = stage.services
    services.create("built-in", replicas={"min": 2})
    services.create("on-a-volume", model=ON_A_VOLUME)
    services.create("midway")
    for name in SERVICES:
        services.settled(name)
    services.edit("midway", podAnnotations={HOLD: "true"})
    until(lambda: _both_known(stage), "a pod of the new revision beside the old")
    quiet(stage)
    return stage


def _both_known(stage: Stage) -> bool:
    """The operator has heard of the pod that does not start, and of its being one more."""
    body = stage.services.get("midway")
    told = condition(body, "Progressing")["message"]
    return body["status"]["replicas"] == 2 and "Pod midway-" in told


def _next(stage: Stage) -> Operator:
    return stage.start(command=NEXT, server_image=NEXT_IMAGE)


def _running(stage: Stage, name: str) -> Json:
    """What a restart of workloads would change."""
    return {
        "pods": stage.services.pod_uids(name),
        "deployments": {
            body["metadata"]["uid"]: body["metadata"]["generation"]
            for body in stage.api.list(DEPLOYMENT, stage.namespace)
            if body["metadata"]["name"].startswith(f"{name}-")
        },
        "InferenceService": stage.services.inference_service(name)["metadata"]["generation"],
    }


def _all_running(stage: Stage) -> dict[str, Json]:
    return {name: _running(stage, name) for name in SERVICES}


def _container(stage: Stage, name: str) -> Json:
    template = stage.services.deployment(name)["spec"]["template"]
    return dict(template["spec"]["containers"][0])


def test_a_new_operator_writes_nothing_and_a_users_edit_brings_its_own(served: Stage) -> None:
    services, before = served.services, _all_running(served)
    served.operator.stop()
    written = len(served.proxy.ledger.writes)
    successor = _next(served)
    until(lambda: looks(successor) >= len(SERVICES), "a look at every service")
    assert look(served) == []
    assert served.proxy.ledger.writes[written:] == []
    assert _all_running(served) == before

    services.edit("built-in", **EDIT)
    services.settled("built-in")
    assert services.get("built-in")["status"]["renderVersion"] == VERSION
    moved = _container(served, "built-in")
    assert moved["image"] == NEXT_IMAGE
    assert MARK in moved["env"]
    assert not services.pod_uids("built-in") & before["built-in"]["pods"]
    others = _all_running(served)
    assert [others[name] for name in SERVICES[1:]] == [before[name] for name in SERVICES[1:]]
    assert services.get("on-a-volume")["status"]["renderVersion"] == 1


def test_an_old_operator_leaves_alone_what_a_newer_one_made_and_says_so(served: Stage) -> None:
    services = served.services
    served.operator.stop()
    _next(served)
    services.edit("built-in", **EDIT)
    settled = services.settled("built-in")
    quiet(served)
    before = _all_running(served)
    served.operator.stop()

    served.start()
    found = services.wait("ConfigReady", "False", "InvalidSpec", "built-in")
    assert "made by a newer operator" in found["message"]
    services.wait("Degraded", "True", "UpdateBlocked", "built-in")
    services.wait("Ready", "True", "", "built-in")
    services.ready("on-a-volume")
    quiet(served)
    assert _all_running(served) == before
    served.operator.stop()
    _next(served)
    assert services.settled("built-in") == settled
    assert _all_running(served) == before


def test_an_old_operator_carries_out_an_edit_of_what_a_newer_one_made(served: Stage) -> None:
    services = served.services
    served.operator.stop()
    _next(served)
    services.edit("built-in", **EDIT)
    services.settled("built-in")
    newer = names.revision("built-in", services.get("built-in")["status"]["revision"])
    served.operator.stop()

    served.start()
    services.wait("ConfigReady", "False", "InvalidSpec", "built-in")
    services.edit("built-in", podAnnotations={HOLD: "true"})
    until(lambda: services.get("built-in")["status"]["replicas"] > 2, "a pod of the new revision")
    quiet(served)
    for kind in (CONFIG_MAP, CONTROLLER_REVISION):
        assert services.child(kind, newer), "pods of the newer operator still use it"
    forgetful = {"revisionHistoryLimit": 0}
    more = [{"name": "MORE", "value": "2"}]
    services.edit("built-in", podAnnotations=None, env=more, rollout=forgetful)
    services.settled("built-in")
    assert services.get("built-in")["status"]["renderVersion"] == 1
    assert not services.child(CONFIG_MAP, newer)
