"""Changes that stable is left alone by."""

from canary_stories.book import story
from cluster.nodes import HOLD
from support.kubeapi import Json
from support.scene import KILLED, WITHIN_S, P, Scene

HELD: Json = {HOLD: "true"}
NOWHERE: Json = {"gateway": "kserve/nowhere"}
SOON = "3s"


@story("bad")
def a_bad_change_is_rolled_back_and_not_tried_again(scene: Scene) -> None:
    old = scene.begin()
    pods = scene.uids()
    scene.behave("b", forwards=40)
    bad = scene.change(0.6)
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "MetricsFailed"
    assert "tokensPerForward 1.00 is 75.0 % below stable's 4.00" in failed["message"]
    assert max(weights.get("b", 0) for weights in scene.weights()) == 10
    scene.weigh({"a": 100})
    assert scene.uids() == pods, "stable was left alone"
    scene.services.wait("Ready", "True", "Serving", scene.name)
    scene.services.wait("Progressing", "False", "Complete", scene.name)
    degraded = scene.services.wait("Degraded", "True", "RolloutFailed", scene.name)
    assert old in degraded["message"]
    assert bad in degraded["message"]
    scene.edit(replicas={"min": 2}, rollout={"steps": [{"weight": 5}, {"weight": 100}]})
    scene.services.wait("Progressing", "False", "Complete", scene.name)
    assert scene.phase == P.FAILED, "other fields are no reason to try it again"
    scene.refused("retry", "another")
    scene.order("retry", bad)
    scene.pass_through(P.PREPARING)
    scene.reach(P.FAILED, failed=bad)
    scene.edit(decoding=None)
    scene.reach(P.STABLE, stable={"revision": old, "slot": "a"})
    scene.settle()


@story("another")
def after_a_failure_another_change_goes_out(scene: Scene) -> None:
    scene.begin(steps=[{"weight": 50}])
    scene.behave("b", forwards=40)
    bad = scene.change(0.6)
    scene.reach(P.FAILED, failed=bad)
    scene.behave("b", forwards=10)
    new = scene.change(0.7)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()


@story("worse-while-held")
def a_held_candidate_that_gets_worse_is_rolled_back(scene: Scene) -> None:
    old = scene.begin(steps=[{"weight": 50, "pause": "forever"}, {"weight": 100}])
    bad = scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause")
    scene.behave("b", forwards=100)
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "MetricsFailed"
    assert scene.stable == old


@story("forgiven")
def a_change_during_the_way_back_is_the_next_candidate(scene: Scene) -> None:
    scene.begin(steps=[{"weight": 50}])
    scene.change(0.6)
    scene.reach(P.ANALYZING)
    scene.order("abort")
    scene.pass_through(P.ROLLING_BACK)
    new = scene.change(0.7)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    assert P.FAILED not in scene.phases()


@story("unroutable")
def after_a_failure_a_change_without_a_route_is_held(scene: Scene) -> None:
    old = scene.begin(steps=[{"weight": 50}])
    scene.behave("b", forwards=40)
    bad = scene.change(0.6)
    scene.reach(P.FAILED, failed=bad)
    scene.edit(ingress={"enabled": False})
    scene.order("retry", bad)
    scene.reach(P.STABLE)
    scene.services.wait("RolloutBlocked", "True", "NoOwnRoute", scene.name)
    assert scene.stable == old
    scene.edit(ingress=None)
    scene.reach(P.FAILED, failed=bad)
    scene.edit(ingress={"enabled": False}, decoding={"threshold": 0.7})
    scene.reach(P.STABLE)
    found = scene.services.wait("RolloutBlocked", "True", "NoOwnRoute", scene.name)
    assert "RollingUpdate" in found["message"]
    scene.lose(old)
    scene.services.wait("Ready", "False", name=scene.name, within_s=WITHIN_S)
    scene.lose(old, ready=True)
    scene.services.wait("Ready", "True", "Serving", scene.name, WITHIN_S)
    scene.services.wait("RolloutBlocked", "True", "NoOwnRoute", scene.name, WITHIN_S)
    assert scene.stable == old, "a moment without stable lets nothing out"


@story("unpullable")
def an_image_that_cannot_be_pulled_never_gets_traffic(scene: Scene) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    _never_starts(scene, {"waiting": waiting}, "cannot pull")


@story("misnamed")
def an_image_whose_name_is_none_is_not_waited_for(scene: Scene) -> None:
    old = scene.begin()
    bad = scene.change(0.6, podAnnotations=HELD)
    waiting = {"reason": "InvalidImageName", "message": "invalid reference format"}
    scene.waits(bad, {"waiting": waiting})
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "CannotStart"
    assert "invalid reference format" in failed["message"]
    assert scene.weights() == [{"a": 100}]
    assert scene.stable == old


@story("too-large")
def a_model_that_does_not_fit_into_memory_never_gets_traffic(scene: Scene) -> None:
    _never_starts(scene, {"terminated": KILLED}, "memory")


@story("silent")
def a_candidate_that_says_nothing_never_gets_traffic(scene: Scene) -> None:
    _never_starts(scene, {}, "is starting or loads the model")


def _never_starts(scene: Scene, state: Json, said: str) -> None:
    """Its only pod is in that state until the deadline."""
    old = scene.begin()
    bad = scene.change(0.6, podAnnotations=HELD)
    scene.waits(bad, state)
    scene.edit(rollout={"progressDeadline": SOON})
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "ProgressDeadline"
    assert "0 of 1 replicas were ready within 3 s" in failed["message"]
    assert said in failed["message"]
    assert scene.weights() == [{"a": 100}]
    assert scene.stable == old
    assert scene.uids() == scene.uids(old)


@story("unrouted")
def a_route_that_never_takes_the_weight_is_given_up(scene: Scene) -> None:
    old = scene.begin()
    bad = scene.change(0.6, ingress=NOWHERE)
    scene.reach(P.STEPPING, weight=10)
    scene.edit(rollout={"progressDeadline": SOON})
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "RouteDeadline"
    scene.weigh({"a": 100})
    scene.edit(ingress=None, decoding=None)
    scene.reach(P.STABLE, stable={"revision": old, "slot": "a"})
    scene.settle()


@story("unpromoted")
def a_route_that_never_takes_all_weight_is_given_up(scene: Scene) -> None:
    old = scene.begin(steps=[{"weight": 50, "pause": "forever"}])
    bad = scene.change(0.6)
    scene.reach(P.PAUSED)
    scene.edit(ingress=NOWHERE, rollout={"progressDeadline": SOON})
    scene.order("promote")
    scene.pass_through(P.PROMOTING)
    scene.reach(P.ROLLING_BACK, cause="RouteDeadline")
    scene.weigh({"a": 100, "b": 0})  # until the route says so, clients may be there
    scene.edit(ingress=None)
    scene.reach(P.FAILED, failed=bad)
    assert scene.stable == old
