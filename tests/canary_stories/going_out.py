"""Changes that get all traffic in the end."""

from canary_stories.book import story
from dfastllm_operator.kinds import INFERENCE_SERVICE
from support.kubeapi import Json
from support.scene import P, Scene

HOLDS_LONG = {"minSamples": 1_000_000}


@story("good")
def a_good_change_gets_all_traffic_step_by_step(scene: Scene) -> None:
    old = scene.begin(replicas=2)
    new = scene.change(0.6)
    scene.reach(P.FINALIZING)
    pods = scene.uids(new)
    assert len(pods) == 2, "as many as stable has"
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()
    split = [weights for weights in scene.weights() if "b" in weights]
    assert split == [{"a": 90, "b": 10}, {"a": 50, "b": 50}, {"a": 0, "b": 100}, {"b": 100}]
    assert scene.uids() == pods, "promotion restarts no pod"
    assert _marks(scene, "good-b") == 1, "nor changes what KServe copies into pods"
    assert scene.serving_slot() == "b"
    assert scene.services.child(INFERENCE_SERVICE, "good-a") is None
    assert old in scene.services.revisions("good"), "the former one can come back"
    scene.tells("RolloutFinalizing")


def _marks(scene: Scene, inference_service: str) -> int:
    """How many different labels and annotations it had in its life."""
    past: list[Json] = []
    for one in scene.history.of(INFERENCE_SERVICE, inference_service):
        marks = {key: one.body["metadata"].get(key) for key in ("labels", "annotations")}
        past += [] if marks in past else [marks]
    return len(past)


@story("pausing")
def steps_are_held_as_long_as_they_say(scene: Scene) -> None:
    scene.begin(steps=[{"weight": 10, "pause": "8s"}, {"weight": 40, "pause": "8s"}])
    new = scene.change(0.6)
    scene.pass_through(P.PAUSED)
    scene.reach(P.STABLE)
    assert scene.stable == new
    held = scene.phases().count(P.PAUSED)
    # An operator that died before it said so may come back when the pause is over.
    assert held == 2 if scene.calm else held >= 1
    assert [weights["b"] for weights in scene.weights() if "b" in weights] == [10, 40, 100, 100]


@story("edited")
def steps_can_be_edited_on_the_way(scene: Scene) -> None:
    scene.begin(analysis=HOLDS_LONG)
    new = scene.change(0.6)
    scene.reach(P.ANALYZING, weight=10)
    scene.edit(rollout={"steps": [{"weight": 30}]})
    scene.reach(P.ANALYZING, weight=30)
    assert scene.candidate == new
    scene.edit(rollout={"analysis": {"minSamples": 4}})
    scene.reach(P.STABLE)
    assert scene.stable == new


@story("back")
def the_former_stable_that_still_stands_gets_everything_at_once(scene: Scene) -> None:
    old = scene.begin(scaleDownDelay="120s", steps=[{"weight": 50}])
    pods = scene.uids()
    scene.change(0.6)
    scene.reach(P.FINALIZING)
    before = len(scene.weights())
    scene.edit(decoding=None)
    scene.pass_through(P.ROLLING_BACK)
    scene.edit(rollout={"scaleDownDelay": "5s"})
    scene.reach(P.STABLE, stable={"revision": old, "slot": "a"})
    scene.settle()
    assert scene.weights()[before:] == [{"a": 100, "b": 0}, {"a": 100}]
    assert P.STEPPING not in scene.phases()
    assert scene.uids() == pods


@story("flapping")
def a_spec_that_flaps_ends_where_it_ended(scene: Scene) -> None:
    old = scene.begin()
    pods = scene.uids()
    for _ in range(3):
        scene.edit(decoding={"threshold": 0.6})
        scene.edit(decoding=None)
    scene.reach(P.STABLE, stable={"revision": old, "slot": "a"})
    assert scene.uids() == pods
    other = scene.change(0.6)
    scene.edit(decoding=None)
    scene.reach(P.STABLE, stable={"revision": old, "slot": "a"})
    scene.change(0.6)
    scene.reach(P.ANALYZING)
    scene.edit(decoding={"threshold": 0.7})
    scene.edit(decoding={"threshold": 0.6})
    scene.reach(P.STABLE, stable={"revision": other, "slot": "b"})
    scene.edit(decoding=None)
    scene.reach(P.STABLE, stable={"revision": old, "slot": "a"})
    scene.settle()
    assert scene.uids() != pods, "they went in between"


@story("cramped")
def a_candidate_that_has_no_room_to_grow_waits_for_it(scene: Scene) -> None:
    steps: list[Json] = [{"weight": 10, "pause": "forever"}, {"weight": 50, "replicas": 2}]
    scene.begin(spec={"resources": {"gpu": {"count": 1}}}, steps=steps, maxGPUs=3)
    new = scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause")
    steps[0] = {"weight": 10}
    scene.edit(rollout={"steps": steps, "maxGPUs": 2})
    held = scene.reach(P.PAUSED, cause="NoRoom")
    assert "2 replicas of the candidate do not fit maxGPUs 2" in held["message"]
    scene.edit(rollout={"maxGPUs": 3})
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})


@story("no-room-at-last")
def a_promotion_that_has_no_room_waits_for_it(scene: Scene) -> None:
    gpu: Json = {"resources": {"gpu": {"count": 1}}}
    held = [{"weight": 10, "pause": "forever"}]
    scene.begin(replicas=2, spec=gpu, steps=held, maxGPUs=4)
    new = scene.change(0.6)
    scene.reach(P.PAUSED, cause="StepPause")
    scene.edit(rollout={"steps": [{"weight": 10}], "maxGPUs": 3})
    scene.reach(P.PAUSED, cause="NoRoom", promoting=True)
    assert scene.weights()[-1] == {"a": 90, "b": 10}
    scene.edit(rollout={"maxGPUs": 4})
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    assert P.PROMOTING in scene.phases()
    assert P.STEPPING not in scene.phases()
