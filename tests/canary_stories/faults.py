"""Candidates that stop being ready, and a status that is lost."""

from canary_stories.book import story
from canary_stories.going_out import HOLDS_LONG
from cluster.nodes import HOLD
from dfastllm_operator.kinds import SERVICE_RESOURCE
from support.scene import P, Scene


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
