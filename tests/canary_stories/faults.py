"""Candidates that stop being ready, and a status that is lost."""

from canary_stories.book import story
from canary_stories.going_out import HOLDS_LONG
from cluster.nodes import HOLD
from dfastllm_operator.kinds import HTTP_ROUTE, INFERENCE_SERVICE, SERVICE_RESOURCE
from support.kubeapi import Json
from support.process import until
from support.scene import WITHIN_S, P, Scene


@story("lost")
def a_candidate_that_is_not_ready_has_no_weight(scene: Scene) -> None:
    old = scene.begin(analysis={**HOLDS_LONG, "failureLimit": 3, "interval": "2s"})
    bad = scene.change(0.6)
    scene.reach(P.ANALYZING)
    scene.lose(bad)
    scene.reach(P.STEPPING, weight=0)
    scene.lose(bad, ready=True)
    scene.reach(P.ANALYZING, weight=10)
    scene.lose(bad)
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "LostReadiness"
    assert scene.stable == old


@story("gone-paused")
def a_rollout_that_is_held_is_rolled_back_when_the_candidate_is_lost(scene: Scene) -> None:
    scene.begin(paused=True, analysis={"failureLimit": 2})
    bad = scene.change(0.6)
    scene.reach(P.PAUSED, cause="UserPause")
    scene.edit(rollout={"paused": False, "steps": [{"weight": 10, "pause": "forever"}]})
    scene.reach(P.PAUSED, cause="StepPause")
    scene.edit(rollout={"paused": True})
    scene.lose(bad)
    scene.reach(P.FAILED, failed=bad, cause="LostReadiness")


@story("gone-promoting")
def a_candidate_that_is_lost_while_it_grows_comes_back(scene: Scene) -> None:
    old = scene.begin(replicas=2, steps=[{"weight": 50}], analysis={"failureLimit": 3})
    bad = scene.change(0.6, podAnnotations={HOLD: "true"})
    scene.release(1, bad)
    scene.reach(P.PROMOTING)
    scene.lose(bad)
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "LostReadiness"
    assert scene.stable == old


@story("killed")
def a_candidate_that_runs_out_of_memory_under_traffic_is_rolled_back(scene: Scene) -> None:
    scene.begin(analysis=HOLDS_LONG)
    bad = scene.change(0.6)
    scene.reach(P.ANALYZING)
    scene.lose(bad, oom=True)
    failed = scene.reach(P.FAILED, failed=bad)
    assert "memory" in failed["message"]


@story("meddled")
def what_is_edited_and_deleted_by_hand_on_the_way_comes_back(scene: Scene) -> None:
    scene.begin(steps=[{"weight": 10, "pause": "forever"}])
    new = scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause")
    api, namespace = scene.services.api, scene.stage.namespace
    (rule,) = api.get(HTTP_ROUTE, namespace, scene.name)["spec"]["rules"]
    even = [{**backend, "weight": 50} for backend in rule["backendRefs"]]
    edited = {"spec": {"rules": [{**rule, "backendRefs": even}]}}
    api.merge(HTTP_ROUTE, namespace, scene.name, edited)
    until(lambda: {"a": 50, "b": 50} in scene.weights(), "edited", WITHIN_S)
    scene.weigh({"a": 90, "b": 10})
    assert (scene.phase, scene.rollout["weight"]) == (P.PAUSED, 10)
    stable = f"{scene.name}-a"
    before = api.get(INFERENCE_SERVICE, namespace, stable)
    api.delete(INFERENCE_SERVICE, namespace, stable)

    def again() -> Json | None:
        found = api.find(INFERENCE_SERVICE, namespace, stable)
        return found if found and found["metadata"]["uid"] != before["metadata"]["uid"] else None

    made: Json = until(again, f"{stable} is made again", WITHIN_S)
    assert made["spec"] == before["spec"], "the spec of the service has moved on, its record stays"
    for marks in ("labels", "annotations", "ownerReferences"):
        assert made["metadata"].get(marks) == before["metadata"].get(marks)
    scene.order("promote")
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()


@story("forgotten")
def a_status_that_is_lost_gives_nobody_traffic_that_did_not_have_it(scene: Scene) -> None:
    old = scene.begin(analysis=HOLDS_LONG, steps=[{"weight": 50}])
    new = scene.change(0.6)
    scene.reach(P.ANALYZING)
    lost = {"status": {"rollout": None}}
    scene.services.api.merge(
        SERVICE_RESOURCE, scene.stage.namespace, scene.name, lost, subresource="status"
    )
    scene.reach(P.FINALIZING, stable={"revision": old, "slot": "a"})
    scene.edit(rollout={"analysis": {"minSamples": 4}})
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()
