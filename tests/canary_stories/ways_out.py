"""Every way out of every phase that somebody can ask for, and deletion in each."""

import time
from functools import partial

from canary_stories.book import story
from canary_stories.going_out import HOLDS_LONG
from cluster.nodes import HOLD
from support.kubeapi import Json
from support.scene import WITHIN_S, P, Scene

QUIET_S = 1.5  # more than an interval of the analysis
LAST: Json = {"steps": [{"weight": 10}, {"weight": 100}]}
HELD: Json = {"podAnnotations": {HOLD: "true"}}
IN_PHASE: dict[P, Json] = {
    P.PREPARING: {**HELD, "rollout": {"steps": [{"weight": 10, "replicas": 2}]}},
    P.STEPPING: {**HELD, "rollout": {"steps": [{"weight": 10}, {"weight": 50, "replicas": 2}]}},
    P.ANALYZING: {"rollout": {**LAST, "analysis": HOLDS_LONG}},
    P.PAUSED: {"rollout": {"steps": [{"weight": 10, "pause": "forever"}]}},
    P.PROMOTING: {**HELD, "replicas": {"min": 2}, "rollout": {"steps": [{"weight": 50}]}},
}
"""What keeps a rollout in a phase; held pods are let go one by one."""

FIELDS: dict[P, Json] = {
    P.STEPPING: {"step": 1, "replicas": 2},
    P.PAUSED: {"cause": "StepPause"},
}
RESTORED: Json = {"decoding": None, "podAnnotations": None}


def begin(scene: Scene, phase: P) -> str:
    return scene.begin(replicas=IN_PHASE[phase].get("replicas", {}).get("min", 1))


def lead(scene: Scene, phase: P, threshold: float) -> str:
    """A change that comes as far as `phase`; its revision."""
    revision = scene.change(threshold, **IN_PHASE[phase])
    arrive(scene, phase, revision)
    return revision


def arrive(scene: Scene, phase: P, revision: str) -> None:
    if phase in (P.STEPPING, P.PROMOTING):
        scene.release(1, revision)
    candidate = {"revision": revision, "slot": "b"}
    scene.reach(phase, candidate=candidate, **FIELDS.get(phase, {}))


def every_way_out(scene: Scene, phase: P) -> None:
    first = begin(scene, phase)
    stable = {"revision": first, "slot": "a"}
    pods = scene.uids()
    aborted = lead(scene, phase, 0.51)
    scene.refused("retry")
    scene.refused("promote", "another")
    freeze_and_thaw(scene)
    with scene.frozen():
        scene.order("abort")
        time.sleep(QUIET_S)
    scene.reach(P.FAILED, failed=aborted, cause="Aborted")
    scene.refused("abort", aborted)
    scene.order("retry", aborted)
    arrive(scene, phase, aborted)
    scene.edit(**RESTORED)
    scene.pass_through(P.ROLLING_BACK)
    scene.reach(P.STABLE, stable=stable)
    assert scene.uids(first) == pods, "stable was left alone"
    lead(scene, phase, 0.52)
    newest = scene.change(0.53)
    assert P.SUPERSEDED in scene.phases()
    arrive(scene, phase, newest)
    promote(scene, phase, newest)
    scene.delete()


def freeze_and_thaw(scene: Scene) -> None:
    """The time that the service was frozen for does not count."""
    before = scene.rollout["stepSince"]
    with scene.frozen():
        time.sleep(QUIET_S)
    scene.services.wait("Progressing", "True", "RollingOut", scene.name, WITHIN_S)
    assert scene.rollout["stepSince"] > before


def promote(scene: Scene, phase: P, revision: str) -> None:
    """By hand, and only what is ready."""
    if phase is P.PREPARING:
        scene.refused("promote")
        scene.release(1, revision)
    if phase is P.PROMOTING:
        scene.refused("promote")
    else:
        scene.order("promote")
        scene.pass_through(P.PROMOTING)
    if phase in (P.PREPARING, P.STEPPING, P.PROMOTING):
        scene.release(1, revision)
    scene.reach(P.STABLE, stable={"revision": revision, "slot": "b"})


def strategy_changed(scene: Scene, phase: P) -> None:
    begin(scene, phase)
    revision = lead(scene, phase, 0.51)
    scene.edit(rollout={"strategy": "RollingUpdate"})
    scene.pass_through(P.ROLLING_BACK)
    if "podAnnotations" not in IN_PHASE[phase]:
        scene.reach(P.STABLE, stable={"revision": revision, "slot": "a"})
    scene.delete()


def overdue(scene: Scene, phase: P) -> None:
    """It does not come to the size of its step."""
    begin(scene, phase)
    bad = lead(scene, phase, 0.51)
    scene.edit(rollout={"progressDeadline": "2s"})
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "ProgressDeadline"
    assert "1 of 2 replicas were ready within 2 s" in failed["message"]


def user_pause(scene: Scene, phase: P) -> None:
    """Held where it is, and as far as it got when it is let go."""
    begin(scene, phase)
    revision = lead(scene, phase, 0.51)
    scene.edit(rollout={"paused": True})
    if phase is P.PREPARING:
        scene.release(2, revision)
    held = scene.reach(P.PAUSED, cause="UserPause")
    before = scene.weights()
    time.sleep(QUIET_S)
    assert scene.phase == P.PAUSED
    assert scene.weights() == before
    assert before[-1].get("b", 0) == held.get("weight", 0)
    scene.edit(rollout={"paused": False, "analysis": HOLDS_LONG})
    scene.reach(phase if phase in (P.STEPPING, P.PROMOTING) else P.ANALYZING)
    scene.edit(rollout={"paused": True})
    scene.reach(P.PAUSED)
    scene.delete()


def deleted(scene: Scene, phase: P) -> None:
    begin(scene, phase)
    lead(scene, phase, 0.51)
    scene.delete()


for _phase in IN_PHASE:
    story(f"deleted-in-{_phase.lower()}")(partial(deleted, phase=_phase))
    story(f"out-of-{_phase.lower()}")(partial(every_way_out, phase=_phase))
    story(f"updating-in-{_phase.lower()}")(partial(strategy_changed, phase=_phase))
    if _phase is not P.PAUSED:
        story(f"held-in-{_phase.lower()}")(partial(user_pause, phase=_phase))


def routeless(scene: Scene, phase: P) -> None:
    """It waits for a route, however long, and goes on where it was."""
    first = begin(scene, phase)
    pods = scene.uids()
    revision = lead(scene, phase, 0.51)
    scene.edit(ingress={"enabled": False})
    scene.reach(P.PAUSED, cause="NoRoute")
    scene.edit(rollout={"progressDeadline": "2s"})
    held = scene.services.wait("RolloutBlocked", "True", "NoOwnRoute", scene.name, WITHIN_S)
    assert "rollout.strategy RollingUpdate would go without a gate" in held["message"]
    before = scene.rollout
    time.sleep(3)  # beyond the deadline
    assert (scene.phase, scene.rollout["weight"]) == (P.PAUSED, before["weight"])
    assert scene.uids(first) == pods, "stable is left alone"
    scene.edit(ingress=None, rollout={"progressDeadline": "5m"})
    scene.pass_through(P.PROMOTING if phase is P.PROMOTING else P.STEPPING)
    scene.reach(phase, candidate={"revision": revision, "slot": "b"})
    scene.services.wait("RolloutBlocked", "False", "NotBlocked", scene.name, WITHIN_S)
    scene.delete()


for _phase in (P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING):
    story(f"routeless-in-{_phase.lower()}")(partial(routeless, phase=_phase))


def worse(scene: Scene, phase: P) -> None:
    """It has weight, and does not answer as it did while it waits for its next pod."""
    begin(scene, phase)
    bad = lead(scene, phase, 0.51)
    scene.behave("b", forwards=100)
    failed = scene.reach(P.FAILED, failed=bad)
    assert failed["cause"] == "MetricsFailed"


for _phase in (P.STEPPING, P.PROMOTING):
    story(f"overdue-in-{_phase.lower()}")(partial(overdue, phase=_phase))
    story(f"worse-in-{_phase.lower()}")(partial(worse, phase=_phase))


@story("gone-stepping")
def a_candidate_that_is_lost_while_it_is_sized_has_no_weight(scene: Scene) -> None:
    begin(scene, P.STEPPING)
    bad = lead(scene, P.STEPPING, 0.51)
    scene.lose(bad)
    scene.reach(P.FAILED, failed=bad, cause="LostReadiness")


@story("deleted-in-finalizing")
def deleted_while_the_former_one_drains(scene: Scene) -> None:
    scene.begin(scaleDownDelay="120s", steps=[{"weight": 50}])
    scene.change(0.51)
    scene.reach(P.FINALIZING)
    scene.refused("abort", scene.stable)
    scene.delete()


@story("deleted-in-rollingback")
def deleted_on_the_way_back(scene: Scene) -> None:
    scene.begin(scaleDownDelay="120s")
    lead(scene, P.ANALYZING, 0.51)
    scene.order("abort")
    scene.reach(P.ROLLING_BACK)
    scene.refused("promote", "another")
    scene.delete()


@story("deleted-in-superseded")
def deleted_while_a_newer_one_waits(scene: Scene) -> None:
    scene.begin(drain={"timeout": "25s"})
    scene.behave("b", running=1)
    lead(scene, P.ANALYZING, 0.51)
    scene.edit(decoding={"threshold": 0.52})
    scene.reach(P.SUPERSEDED)
    scene.refused("retry", "another")
    scene.delete()


@story("given-up")
def a_newer_change_that_is_given_up_ends_in_stable(scene: Scene) -> None:
    first = scene.begin()
    lead(scene, P.ANALYZING, 0.51)
    scene.edit(decoding={"threshold": 0.52})
    scene.reach(P.SUPERSEDED)
    scene.edit(**RESTORED)
    scene.reach(P.STABLE, stable={"revision": first, "slot": "a"})
    scene.settle()
    scene.refused("promote", "another")
    scene.delete()


@story("deleted-in-failed")
def deleted_after_a_failure(scene: Scene) -> None:
    scene.begin()
    failed = lead(scene, P.PREPARING, 0.51)
    scene.order("abort")
    scene.reach(P.FAILED, failed=failed)
    scene.delete()
