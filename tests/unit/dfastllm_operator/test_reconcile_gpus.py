"""A whole reconcile within `maxGPUs`: what a service asks for, from its first write on."""

import asyncio
from typing import Any

import pytest

from dfastllm_operator.core import Json
from dfastllm_operator.kinds import CONTROLLER_REVISION, DEPLOYMENT, HPA, INFERENCE_SERVICE, Kind
from dfastllm_operator.revision import from_record, gpus_of
from support.little_cluster import LittleCluster
from support.services import condition
from support.steady import CANARY, Steady

FIXED: Json = {"replicas": {"min": 8}}
SCALED: Json = {"replicas": {"min": 6, "max": 8}, "autoscaling": {"type": "hpa", "metric": "cpu"}}
STRATEGIES: list[Json] = [CANARY, {"strategy": "RollingUpdate"}, {"strategy": "Recreate"}]


class Written(LittleCluster):
    """It remembers each number of replicas that was written: of one object, or least and most."""

    def __init__(self, spec: Json) -> None:
        self.numbers: list[tuple[int, ...]] = []
        super().__init__(spec, Steady())

    def _put(self, kind: Kind, body: Json) -> Json:
        spec = body["spec"] if kind in (HPA, INFERENCE_SERVICE) else {}
        if kind == HPA:
            self.numbers.append((spec["minReplicas"], spec["maxReplicas"]))
        elif "minReplicas" in spec.get("predictor", {}):
            self.numbers.append((spec["predictor"]["minReplicas"],))
        return super()._put(kind, body)


def service(rollout: Json, count: int = 1, **spec: Any) -> Written:
    """Not yet looked at; a replica has so many GPUs."""
    return Written({"rollout": rollout, "resources": {"gpu": {"count": count}}, **spec})


def live(cluster: LittleCluster, limit: int) -> None:
    """Some seconds; at no time there are more GPUs than that."""
    for _ in range(12):
        cluster.tick()
        assert held(cluster) <= limit


def held(cluster: LittleCluster) -> int:
    """GPUs of all pods."""
    bodies = (b for (kind, _), b in cluster.objects.items() if kind == CONTROLLER_REVISION)
    revisions = {r.hash: r for r in (from_record(body["data"]) for body in bodies)}
    return sum(gpus_of(revisions[found]) for found in cluster.pods().values())


def scale(cluster: LittleCluster, replicas: int) -> None:
    """As somebody else's scaler does it."""
    present = cluster.objects[DEPLOYMENT, "demo-a-predictor"]
    asyncio.run(cluster.scale(DEPLOYMENT, present, replicas))


@pytest.mark.parametrize("rollout", STRATEGIES)
@pytest.mark.parametrize(("size", "expected"), [(FIXED, (4,)), (SCALED, (4, 4))])
def test_a_first_deployment_is_within_the_gpus_from_its_first_write(
    rollout: Json, size: Json, expected: tuple[int, ...]
) -> None:
    cluster = service({**rollout, "maxGPUs": 4}, **size)
    cluster.wish = 9
    live(cluster, 4)
    assert set(cluster.numbers) == {expected}
    assert held(cluster) == 4
    assert cluster.service["status"]["phase"] == "Ready"


def test_fewer_replicas_than_are_asked_for_are_said() -> None:
    cluster = service({"strategy": "RollingUpdate", "maxGPUs": 4}, **FIXED)
    live(cluster, 4)
    assert cluster.said("ScalerReady") == "rollout.maxGPUs leaves 4 of 8 replicas."
    cluster.edit(rollout={"strategy": "RollingUpdate", "maxGPUs": 9})
    live(cluster, 8)
    assert held(cluster) == 8
    assert cluster.said("ScalerReady") == ""


@pytest.mark.parametrize("rollout", STRATEGIES[1:])
@pytest.mark.parametrize(("size", "most"), [({"replicas": {"min": 8}}, 8), (SCALED, 8)])
def test_pods_that_get_a_gpu_in_place_are_as_many_as_there_are_gpus(
    rollout: Json, size: Json, most: int
) -> None:
    cluster = service({**rollout, "maxGPUs": 3}, count=0, **size)
    cluster.wish = 9
    live(cluster, 0)
    assert cluster.replicas("demo-a-predictor") == most, "without a GPU nothing limits them"
    cluster.edit(resources={"gpu": {"count": 1}})
    live(cluster, 3)
    assert held(cluster) == cluster.replicas("demo-a-predictor") == 3
    assert condition(cluster.service, "RolloutBlocked")["status"] == "False"
    cluster.edit(resources={"gpu": {"count": 0}})
    live(cluster, 3)
    assert held(cluster) == 0
    assert cluster.replicas("demo-a-predictor") == most


def test_a_change_waits_in_words_for_whoever_else_scales() -> None:
    outside: Json = {"autoscaling": {"type": "external"}}
    cluster = service({"strategy": "RollingUpdate", "maxGPUs": 1}, count=0, **outside)
    live(cluster, 0)
    scale(cluster, 2)
    live(cluster, 0)
    cluster.edit(resources={"gpu": {"count": 1}})
    live(cluster, 0)
    said = condition(cluster.service, "RolloutBlocked")
    assert (said["status"], said["reason"]) == ("True", "NoRoom")
    assert "maxGPUs 1 has room for 1. The change waits until stable has no more" in said["message"]
    scale(cluster, 1)
    live(cluster, 1)
    assert held(cluster) == 1
    assert condition(cluster.service, "RolloutBlocked")["status"] == "False"


def test_a_limit_on_a_service_that_has_more_takes_nothing_away() -> None:
    cluster = service({"strategy": "RollingUpdate"}, replicas={"min": 4})
    live(cluster, 4)
    cluster.edit(rollout={"strategy": "RollingUpdate", "maxGPUs": 2}, replicas={"min": 6})
    live(cluster, 4)
    assert held(cluster) == 4
    cluster.edit(replicas={"min": 1})
    live(cluster, 4)
    cluster.edit(replicas={"min": 6})
    live(cluster, 2)
    assert held(cluster) == 2
