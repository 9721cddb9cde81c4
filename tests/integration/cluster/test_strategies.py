"""How an update in the slot itself goes about, and that it can be changed on a living service."""

from collections.abc import Iterator

import pytest

from cluster.rig import Rig
from dfastllm_operator.kinds import DEPLOYMENT
from support.kubeapi import Json
from support.operators import Stage, staged
from support.process import until

SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


def strategy(stage: Stage) -> Json:
    deployment = stage.services.child(DEPLOYMENT, "demo-a-predictor")
    assert deployment is not None
    found: Json = deployment["spec"]["strategy"]
    return found


def test_a_service_can_come_to_recreate_and_back_without_a_restart(stage: Stage) -> None:
    stage.services.create()
    stage.services.ready()
    pods = stage.services.pod_uids("demo")
    assert strategy(stage) == SURGE
    stage.services.edit(rollout={"strategy": "Recreate"})
    until(lambda: strategy(stage) == {"type": "Recreate"}, "the old pods go first", 60.0)
    stage.services.edit(rollout=None)
    until(lambda: strategy(stage) == SURGE, "pod by pod", 60.0)
    stage.services.ready()
    assert stage.services.pod_uids("demo") == pods
