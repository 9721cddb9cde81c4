"""A Prometheus that is not there, knows nothing, or knows what is no number."""

from canary_stories.book import story
from support.kubeapi import Json
from support.scene import P, Scene

TWICE: Json = {"errorLimit": 2, "inconclusiveLimit": 2}
UNTIL_SCRAPED: Json = {"inconclusiveLimit": 12}
"""Looks, one a second: by the last one Prometheus knows of new pods, which takes it five."""
ABORT: Json = {**TWICE, "onInconclusive": "Abort"}
NOBODY: Json = {"serverAddress": "http://127.0.0.1:1"}


@story("prometheus-down")
def without_prometheus_the_weight_is_held_until_it_comes(scene: Scene) -> None:
    scene.begin(analysis={**TWICE, **NOBODY}, steps=[{"weight": 50}])
    new = scene.change(0.6)
    held = scene.reach(P.PAUSED, cause="SourceFailed")
    assert held["weight"] == 50
    assert "127.0.0.1:1" in held["message"]
    scene.edit(rollout={"analysis": {"serverAddress": scene.prometheus}})
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()


@story("prometheus-gone")
def without_prometheus_the_rollout_is_ended_where_that_is_asked_for(scene: Scene) -> None:
    scene.begin(analysis={**ABORT, **NOBODY})
    bad = scene.change(0.6)
    scene.reach(P.FAILED, failed=bad, cause="MetricsMissing")
    scene.weigh({"a": 100})


@story("unscraped")
def a_candidate_that_prometheus_does_not_know_is_held_until_it_does(scene: Scene) -> None:
    scene.begin(analysis=TWICE, steps=[{"weight": 50}])
    scene.behave("b", scraped=False)
    new = scene.change(0.6)
    held = scene.reach(P.PAUSED, cause="Inconclusive")
    assert "no metrics of candidate" in held["message"]
    scene.behave("b", scraped=True)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()


@story("unknown")
def a_candidate_that_stays_unknown_is_rolled_back_where_that_is_asked_for(scene: Scene) -> None:
    scene.begin(analysis=ABORT)
    scene.behave("b", scraped=False)
    bad = scene.change(0.6)
    scene.reach(P.FAILED, failed=bad, cause="MetricsMissing")


@story("nan")
def what_is_no_number_is_no_pass(scene: Scene) -> None:
    scene.begin(analysis=UNTIL_SCRAPED, steps=[{"weight": 50}])
    scene.behave("b", nan=True)
    new = scene.change(0.6)
    held = scene.reach(P.PAUSED, cause="Inconclusive")
    assert "dfastllm_generation_tokens_total is not a number" in held["message"]
    scene.order("promote")
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()


@story("vanished")
def a_candidate_that_vanishes_from_prometheus_in_a_pause_is_held(scene: Scene) -> None:
    scene.begin(analysis=TWICE, steps=[{"weight": 50, "pause": "forever"}])
    scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause")
    scene.behave("b", scraped=False)
    scene.reach(P.PAUSED, cause="Inconclusive")
    scene.delete()


@story("unreadable")
def a_pause_that_loses_its_prometheus_is_held_or_ended(scene: Scene) -> None:
    scene.begin(analysis=TWICE, steps=[{"weight": 50, "pause": "forever"}])
    bad = scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause")
    scene.edit(rollout={"analysis": NOBODY})
    scene.reach(P.PAUSED, cause="SourceFailed")
    scene.edit(rollout={"analysis": {"serverAddress": scene.prometheus}})
    scene.reach(P.PAUSED, cause="StepPause")
    scene.edit(rollout={"analysis": {**NOBODY, "onInconclusive": "Abort"}})
    scene.reach(P.FAILED, failed=bad, cause="MetricsMissing")
