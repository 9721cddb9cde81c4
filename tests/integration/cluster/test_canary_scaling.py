"""Canary rollouts beside a scaler: who has how many replicas, at every write that there was.

The autoscaler is Kubernetes' own and acts on metrics of the tests. KEDA does not run: the tests
write what it would, and look at what it is told.
"""

from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from typing import Any

import pytest

from cluster.rig import Rig
from dfastllm_operator.kinds import (
    DEPLOYMENT,
    HPA,
    INFERENCE_SERVICE,
    POD,
    SCALED_OBJECT,
    SERVICE_RESOURCE,
)
from support.kubeapi import Json
from support.pod_meter import PodMeter, metered, metrics_api
from support.process import until
from support.scene import P, Scene
from support.services import condition
from support.telling import Theatre, telling, theatre

HOLDS_LONG = {"minSamples": 1_000_000}
WAITS = [{"weight": 50, "pause": "forever"}]
KEDA: Json = {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}}
BY_KEDA: Json = {"replicas": {"min": 1, "max": 6}, "autoscaling": KEDA}
WITHIN_S = 120.0
BUSY, IDLE = 2000, 50
METER = PodMeter()


def an_autoscaler_adds_to_stable_and_follows_the_promotion(scene: Scene) -> None:
    """Six GPUs: three replicas of stable leave room for a candidate of the same size."""
    METER.load(scene.name, 250)
    cpu = {"type": "hpa", "metric": "cpu", "target": 50, "scaleDownStabilization": "0s"}
    spec: Json = {
        "replicas": {"min": 2, "max": 8},
        "autoscaling": cpu,
        "resources": {"gpu": {"count": 1}},
    }
    scene.begin(spec=spec, maxGPUs=6, steps=WAITS)
    has(scene, "a", 2)
    new = scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause", weight=50)
    assert counts(scene, "b") == [1]
    METER.load(scene.name, BUSY)
    has(scene, "a", 3)
    METER.load(scene.name, IDLE)
    limited(scene, "ScaleDownLimit")
    scene.edit(rollout={"steps": [{"weight": 100}]})
    scene.reach(P.FINALIZING)
    pods = scene.uids(new)
    assert len(pods) == 3
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    has(scene, "b", 2)  # it is free to take away again
    assert scene.uids(new) <= pods, "no pod was started anew"
    assert lowered(scene, "a") == []
    assert lowered(scene, "b", before=entered(scene, P.STABLE)) == []
    assert most_pods(scene) <= 6
    assert scalers(scene, HPA) == [
        ("a", 2, 6, None),  # from its first write
        ("a", 2, 3, "Disabled"),
        ("b", 3, 3, "Disabled"),
        ("b", 2, 6, None),
    ]
    assert len({body["metadata"]["uid"] for body in past(scene, HPA, scene.name)}) == 1
    assert marks(scene, "b") == 1, "promotion changes nothing that KServe copies into pods"


def keda_is_told_to_take_nothing_away(scene: Scene) -> None:
    scene.begin(spec=BY_KEDA)
    scale(scene, "a", 3)
    new = scene.change(0.6)
    scene.reach(P.FINALIZING)
    pods = scene.uids(new)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    assert scene.uids() == pods
    assert counts(scene, "a") == [1, 3]
    assert counts(scene, "b") == [1, 2, 3], "in proportion to stable's"
    assert sizes_at_weights(scene) == {10: 1, 50: 2, 100: 3}, "before the weight"
    freed(scene, ("b", 1, 6, None))
    assert scalers(scene, SCALED_OBJECT) == [
        ("a", 1, 6, None),
        ("a", 3, 6, "Disabled"),
        ("b", 3, 6, "Disabled"),
        ("b", 1, 6, None),
    ]
    for body in past(scene, SCALED_OBJECT, scene.name):
        target, query = body["spec"]["scaleTargetRef"], body["spec"]["triggers"][0]["metadata"]
        assert f'pod=~"{target["name"]}-.+"' in query["query"]
    assert marks(scene, "b") == 1


def a_rollback_leaves_stable_as_large_as_it_was(scene: Scene) -> None:
    scene.behave("b", forwards=40)
    old = scene.begin(spec=BY_KEDA)
    scale(scene, "a", 3)
    pods = scene.uids()
    scene.edit(decoding={"threshold": 0.6})
    scene.reach(P.FAILED, stable={"revision": old, "slot": "a"})
    assert scene.uids() == pods
    assert counts(scene, "a") == [1, 3]
    freed(scene, ("a", 1, 6, None))


def one_replica_is_enough(scene: Scene) -> None:
    scene.begin(spec={**BY_KEDA, "replicas": {"min": 1, "max": 2}})
    new = scene.change(0.6)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    assert counts(scene, "a") == counts(scene, "b") == [1]
    assert len(scene.uids()) == 1


def without_a_ready_pod_it_goes_out_as_a_first_deployment(scene: Scene) -> None:
    asked = {**KEDA["keda"], "query": "sum(gateway_requests)"}
    spec: Json = {"replicas": {"min": 0, "max": 2}, "autoscaling": {**KEDA, "keda": asked}}
    old = scene.begin(spec=spec)
    scale(scene, "a", 0)
    scene.edit(decoding={"threshold": 0.6})
    until(lambda: scene.stable != old, "updated in its slot", WITHIN_S)
    scale(scene, "a", 1)
    scene.settle()
    assert scene.serving_slot() == "a"
    assert {one.get("phase", P.STABLE) for one in scene.past} == {P.STABLE}
    assert scene.services.child(DEPLOYMENT, deployment(scene, "b")) is None


def somebody_elses_scaler_is_not_contradicted(scene: Scene) -> None:
    """It scales the Deployment, and has to follow the slot by itself."""
    scene.begin(spec={"autoscaling": {"type": "external"}}, scaleDownDelay="8s")
    scale(scene, "a", 2)
    new = scene.change(0.6)
    scene.reach(P.FINALIZING)
    assert counts(scene, "b") == [1, 2]
    scale(scene, "a", 1)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    assert counts(scene, "a") == [1, 2, 1], "as it was told from outside"
    assert counts(scene, "b") == [1, 2]
    scale(scene, "b", 3)
    scene.settle()
    assert scene.services.get(scene.name)["status"]["replicas"] == 3


def a_scaler_of_the_service_itself_goes_on(scene: Scene) -> None:
    """As `kubectl scale` does; its target is the same before and after."""
    scene.begin(replicas=2, steps=WAITS)
    new = scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause", weight=50)
    scale_service(scene, 4)
    has(scene, "a", 4)
    until(lambda: told(scene) == (4, "app=isvc.own-a-predictor"), "stable is counted", WITHIN_S)
    scale_service(scene, 1)
    has(scene, "a", 2)  # what it had at the start
    scene.edit(rollout={"steps": [{"weight": 100}]})
    scene.reach(P.FINALIZING)
    assert len(scene.uids(new)) == 2
    scene.reach(P.STABLE)
    has(scene, "b", 1)
    until(lambda: told(scene) == (1, "app=isvc.own-b-predictor"), "stable is counted", WITHIN_S)


def a_scaler_that_fails_holds_the_rollout(scene: Scene) -> None:
    scene.begin(spec=BY_KEDA, analysis=HOLDS_LONG)
    scene.change(0.6)
    scene.reach(P.ANALYZING, weight=10)
    report(scene, "False")
    scene.reach(P.PAUSED, cause="ScalerUnhealthy")
    report(scene, "True")
    scene.reach(P.ANALYZING, weight=10)
    scene.order("abort")
    scene.reach(P.FAILED)


def pods_that_get_a_gpu_in_place_are_as_many_as_there_are_gpus(scene: Scene) -> None:
    """No canary, and no scaler: the number comes down before the pods are replaced."""
    scene.begin(strategy="RollingUpdate", replicas=4, maxGPUs=3)
    assert counts(scene, "a") == [4], "without a GPU nothing limits them"
    old = scene.stable
    scene.edit(resources={"gpu": {"count": 1}})
    until(lambda: scene.stable != old, "updated in its slot", WITHIN_S)
    scene.settle()
    assert len(scene.uids(scene.stable)) == 3
    asked = [
        (b["spec"]["replicas"], gpus(b)) for b in past(scene, DEPLOYMENT, deployment(scene, "a"))
    ]
    assert [form for form, _ in groupby(asked)] == [(4, 0), (3, 0), (3, 1)]
    assert scene.services.get(scene.name)["status"]["rollout"]["phase"] == P.STABLE


STORIES: dict[str, Callable[[Scene], None]] = {
    "elastic": an_autoscaler_adds_to_stable_and_follows_the_promotion,
    "queued": keda_is_told_to_take_nothing_away,
    "undone": a_rollback_leaves_stable_as_large_as_it_was,
    "single": one_replica_is_enough,
    "asleep": without_a_ready_pod_it_goes_out_as_a_first_deployment,
    "outside": somebody_elses_scaler_is_not_contradicted,
    "own": a_scaler_of_the_service_itself_goes_on,
    "in-place": pods_that_get_a_gpu_in_place_are_as_many_as_there_are_gpus,
    "unwell": a_scaler_that_fails_holds_the_rollout,
}


@pytest.fixture(scope="module")
def told_all(rig: Rig) -> Iterator[Theatre]:
    with (
        metrics_api(rig),
        theatre(rig, (DEPLOYMENT, HPA, SCALED_OBJECT)) as here,
        metered(rig, here.stage.namespace, here.history, METER),
        telling(here, STORIES),
    ):
        yield here


@pytest.mark.timeout(600)  # the first one waits for the cluster, too
@pytest.mark.parametrize("name", STORIES)
def test_story(told_all: Theatre, name: str) -> None:
    told_all.end(name)


# What is done.


def deployment(scene: Scene, slot: str) -> str:
    return f"{scene.name}-{slot}-predictor"


def scale(scene: Scene, slot: str, replicas: int) -> None:
    """As a scaler does it; done once the service has heard of it."""
    body, name = {"spec": {"replicas": replicas}}, deployment(scene, slot)
    scene.services.api.merge(DEPLOYMENT, scene.stage.namespace, name, body, "scale")

    def ready() -> bool:
        status = scene.services.get(scene.name)["status"]
        return bool(status["slot"] != slot or status["readyReplicas"] == replicas)

    until(ready, f"{replicas} ready in {name}", WITHIN_S)


def scale_service(scene: Scene, replicas: int) -> None:
    body = {"spec": {"replicas": replicas}}
    scene.services.api.merge(SERVICE_RESOURCE, scene.stage.namespace, scene.name, body, "scale")


def report(scene: Scene, ready: str) -> None:
    """What KEDA's operator would."""
    said = {"type": "Ready", "status": ready, "reason": "Told", "message": "by the test"}
    status = {"status": {"conditions": [said]}}
    scene.services.api.merge(SCALED_OBJECT, scene.stage.namespace, scene.name, status, "status")


# What became of it.


def past(scene: Scene, kind: Any, name: str) -> list[Json]:
    return [one.body for one in scene.history.of(kind, name) if not one.deleted]


def has(scene: Scene, slot: str, replicas: int) -> None:
    what = f"{replicas} in {deployment(scene, slot)}"
    until(lambda: counts(scene, slot)[-1:] == [replicas], what, WITHIN_S)


def counts(scene: Scene, slot: str) -> list[int]:
    """Each number of replicas its Deployment ever asked for, in turn."""
    asked = [body["spec"]["replicas"] for body in past(scene, DEPLOYMENT, deployment(scene, slot))]
    return [count for count, _ in groupby(asked)]


def gpus(deployment: Json) -> int:
    """Of one pod."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return int(container["resources"].get("limits", {}).get("nvidia.com/gpu", 0))


def lowered(scene: Scene, slot: str, before: int | None = None) -> list[tuple[int, int]]:
    """Where its number of replicas went down, `before` a version of anything."""
    bodies = past(scene, DEPLOYMENT, deployment(scene, slot))
    asked = [b["spec"]["replicas"] for b in bodies if before is None or version(b) < before]
    return [(one, other) for one, other in pairwise(asked) if other < one]


def version(body: Json) -> int:
    return int(body["metadata"]["resourceVersion"])


def entered(scene: Scene, phase: str) -> int:
    """The version at which the rollout came there last."""
    bodies = past(scene, SERVICE_RESOURCE, scene.name)
    phases = [((b.get("status") or {}).get("rollout") or {}).get("phase") for b in bodies]
    first = max(n for n in range(1, len(phases)) if phases[n] == phase != phases[n - 1])
    return version(bodies[first])


def scalers(scene: Scene, kind: Any) -> list[tuple[str, int, int, str | None]]:
    """Slot, minimum, maximum and rule for scaling down of each form that the scaler had."""
    found = []
    for body in past(scene, kind, scene.name):
        spec = body["spec"]
        behavior = spec.get("behavior")
        if behavior is None:
            behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        rule = behavior["scaleDown"].get("selectPolicy")
        found.append(
            (
                spec["scaleTargetRef"]["name"].rsplit("-", 2)[1],
                spec.get("minReplicas", spec.get("minReplicaCount")),
                spec.get("maxReplicas", spec.get("maxReplicaCount")),
                rule if rule == "Disabled" else None,
            )
        )
    return [form for form, _ in groupby(found)]


def freed(scene: Scene, form: tuple[str, int, int, str | None]) -> None:
    until(lambda: scalers(scene, SCALED_OBJECT)[-1] == form, f"{form}", WITHIN_S)


def limited(scene: Scene, reason: str) -> None:
    """The autoscaler would take replicas away, says why it does not, and has not done so."""

    def so() -> bool:
        status = past(scene, HPA, scene.name)[-1].get("status") or {}
        said = {c["type"]: c for c in status.get("conditions") or []}
        return bool(said.get("ScalingLimited", {}).get("reason") == reason)

    until(so, reason, WITHIN_S)


def sizes_at_weights(scene: Scene) -> dict[int, int]:
    """Ready pods of the candidate when each weight was first written to the status."""
    found: dict[int, int] = {}
    for body in past(scene, SERVICE_RESOURCE, scene.name):
        weight = ((body.get("status") or {}).get("rollout") or {}).get("weight", 0)
        if weight and weight not in found:
            found[weight] = ready_at(scene, "b", version(body))
    return found


def ready_at(scene: Scene, slot: str, when: int) -> int:
    """Ready pods at a version of anything."""
    names = scene.history.named(POD, f"{deployment(scene, slot)}-")
    until_then = ([p for p in past(scene, POD, n) if version(p) < when] for n in names)
    latest = [bodies[-1] for bodies in until_then if bodies]
    return sum(condition(pod, "Ready")["status"] == "True" for pod in latest)


def most_pods(scene: Scene) -> int:
    """The most pods the service had at once, those on their way out among them."""
    names = [n for s in "ab" for n in scene.history.named(POD, f"{deployment(scene, s)}-")]
    events = [
        (version(one.body), n, one.deleted) for n in names for one in scene.history.of(POD, n)
    ]
    there: set[str] = set()
    most = 0
    for _, name, deleted in sorted(events):
        there = there - {name} if deleted else there | {name}
        most = max(most, len(there))
    return most


def marks(scene: Scene, slot: str) -> int:
    """How many different labels and annotations the InferenceService had in its life."""
    found: list[Json] = []
    for body in past(scene, INFERENCE_SERVICE, f"{scene.name}-{slot}"):
        one = {key: body["metadata"].get(key) for key in ("labels", "annotations")}
        found += [] if one in found else [one]
    return len(found)


def told(scene: Scene) -> tuple[int, str]:
    """What the scale subresource of the service says of its pods."""
    status = scene.services.get(scene.name)["status"]
    return status["replicas"], status["selector"]
