"""A newer operator takes over running services without a restart of anything."""

from collections.abc import Iterator

import pytest

from cluster.rig import Rig
from support.kubeapi import Json
from support.next_operator import MARK
from support.operators import Stage, staged
from support.process import until
from support.services import condition

NEWER = ("-m", "support.next_operator")
OLD_IMAGE, NEW_IMAGE = "registry.example.com/server:1", "registry.example.com/server:2"
SERVICES: dict[str, Json] = {
    "tiny": {},
    "large": {
        "model": {"uri": "hf://someone/llada-8b", "size": {"parameters": "8B", "layers": 32}},
        "replicas": {"min": 2},
    },
}


@pytest.fixture
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig, start=False) as stage:
        yield stage


def _deployments(stage: Stage) -> dict[str, int]:
    return {name: stage.services.deployment(name)["metadata"]["generation"] for name in SERVICES}


def _pods(stage: Stage) -> dict[str, set[str]]:
    return {name: stage.services.pod_uids(name) for name in SERVICES}


def _container(stage: Stage, name: str) -> Json:
    (pod, *_) = stage.services.pods(name)
    return dict(pod["spec"]["containers"][0])


def _settled(stage: Stage) -> None:
    for name in SERVICES:
        stage.services.settled(name)
    until(stage.quiet, "no more writes")


def test_pods_live_through_an_upgrade_and_move_on_at_the_next_edit(stage: Stage) -> None:
    stage.start(server_image=OLD_IMAGE)
    for name, spec in SERVICES.items():
        stage.services.create(name, **spec)
    _settled(stage)
    deployments, pods = _deployments(stage), _pods(stage)
    stage.operator.stop()

    stage.start(command=NEWER, server_image=NEW_IMAGE)
    stage.services.create("new")
    stage.services.settled("new")
    _settled(stage)
    assert (_deployments(stage), _pods(stage)) == (deployments, pods)
    assert _container(stage, "new")["image"] == NEW_IMAGE
    assert MARK in _container(stage, "new")["env"]

    stage.services.edit("tiny", env=[{"name": "EDITED", "value": "1"}])
    _settled(stage)
    assert _pods(stage)["tiny"] != pods["tiny"]
    assert _pods(stage)["large"] == pods["large"]
    assert _container(stage, "tiny")["image"] == NEW_IMAGE
    assert MARK in _container(stage, "tiny")["env"]
    assert stage.services.get("tiny")["status"]["renderVersion"] == 2
    assert stage.services.get("large")["status"]["renderVersion"] == 1
    _older_again(stage)


def _older_again(stage: Stage) -> None:
    """An operator that does not know a revision touches none of its pods, and says so."""
    pods = _pods(stage)
    stage.operator.stop()
    stage.start(server_image=OLD_IMAGE)
    found = stage.services.wait("ConfigReady", "False", "InvalidSpec", "tiny")
    assert "newer operator" in found["message"]
    assert condition(stage.services.get("tiny"), "Ready")["status"] == "True"
    until(stage.quiet, "no more writes")
    assert _pods(stage) == pods
