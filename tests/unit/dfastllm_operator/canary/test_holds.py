"""What is in a change's way, and what holds it on its way: no gateway, no room, a scaler."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dfastllm_operator.canary.decision import Bounds
from dfastllm_operator.canary.machine import decide
from dfastllm_operator.canary.observation import Obstacle, SlotSeen
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import Step, Strategy
from dfastllm_operator.canary.state import Assigned
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.plan import OnInconclusive
from support.rollout_plays import at_rest, changing, serving, stepping_to
from support.rollout_slots import Behavior
from support.rollout_world import CANARY, World

P = RolloutPhase


def test_what_is_in_the_way_holds_the_change_and_says_the_way_out() -> None:
    world = changing()
    world.obstacles = (Obstacle("GatewayApiMissing", "Install the Gateway API."),)
    world.run(20)
    at_rest(world, "A")
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "GatewayApiMissing"
    assert "RollingUpdate" in world.last.blocked.message
    world.obstacles = ()
    world.run_until(P.PREPARING)


def test_no_gpus_for_both_sides_hold_the_change() -> None:
    world = changing()
    world.spec = replace(CANARY, max_gpus=3)
    world.run(20)
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "NoRoom"
    world.spec = replace(CANARY, max_gpus=4)
    world.run(200)
    at_rest(world, "B")


def test_a_step_that_does_not_fit_any_more_is_waited_for() -> None:
    world = changing()
    world.spec = replace(CANARY, max_gpus=4)
    stepping_to(world, 10)
    world.spec = replace(CANARY, max_gpus=3, steps=(Step(10), Step(50, replicas=2), Step(100)))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.NO_ROOM
    assert world.weights == {"a": 90, "b": 10}
    world.spec = replace(world.spec, max_gpus=4)
    world.run(200)
    at_rest(world, "B")


def test_the_scaler_is_capped_so_that_both_sides_fit() -> None:
    world = changing()
    world.spec = replace(CANARY, max_gpus=6)
    stepping_to(world, 10)
    world.scale(9)
    assert world.slots["a"].wanted == 3
    world.run(200)
    at_rest(world, "B")


@pytest.mark.parametrize("most", [1, 2])
def test_fewer_gpus_than_serve_take_nothing_away(most: int) -> None:
    world = serving(A=Behavior(gpus=2))
    world.scale(4)
    world.spec = replace(CANARY, max_gpus=most)
    world.run(20)
    assert world.ready("a") == 4
    world.scale(2)
    assert world.run(5).ready("a") == 2, "a scaler goes down as ever"
    world.scale(3)
    assert world.run(5).ready("a") == 2, "but not up again"
    world.scale(1)
    assert world.run(5).ready("a") == 1
    assert world.bounds == Bounds(cap=1)


IN_PLACE = (Strategy.ROLLING_UPDATE, Strategy.RECREATE)


def enlarged(strategy: Strategy, *, limit: int, gpus: int = 2, replicas: int = 2) -> World:
    """One GPU for each replica, and the spec comes to ask for some more, in place."""
    world = serving(B=Behavior(gpus=gpus))
    world.scale(replicas)
    world.run(10)
    world.spec = replace(CANARY, strategy=strategy, max_gpus=limit)
    world.wanted = "B"
    return world


@pytest.mark.parametrize("strategy", IN_PLACE)
@pytest.mark.parametrize(("limit", "expected"), [(2, 1), (3, 1), (4, 2), (9, 2)])
def test_larger_pods_in_place_are_as_many_as_the_gpus_allow(
    strategy: Strategy, limit: int, expected: int
) -> None:
    world = enlarged(strategy, limit=limit).run(60)
    at_rest(world, "B")
    assert world.ready("a") == expected
    assert sum(pod.gpus for pod in world.slots["a"].pods) == 2 * expected
    assert world.last is not None
    assert world.last.blocked is None


def test_larger_pods_wait_until_stable_has_come_down_and_say_so() -> None:
    world = enlarged(Strategy.ROLLING_UPDATE, limit=4, replicas=4)
    world.reconcile()
    assert world.bounds == Bounds(cap=2)
    world.reconcile()
    assert world.status.stable == Assigned("A", "a")
    assert world.last is not None
    assert world.last.blocked == Obstacle(
        "NoRoom",
        "Of revision B with 2 GPUs each maxGPUs 4 has room for 2. The change waits until stable "
        "has no more: it asks for 2 replicas, and 2 pods are on their way out.",
    )
    world.run(20)
    at_rest(world, "B")


@pytest.mark.parametrize("strategy", [*IN_PLACE, Strategy.CANARY])
def test_larger_pods_of_which_not_one_fits_are_held(strategy: Strategy) -> None:
    world = enlarged(strategy, limit=2, gpus=3)
    if strategy is Strategy.CANARY:
        world.lose("a")  # nothing to compare with: it would go out in place
    world.run(100)
    assert world.status.stable == Assigned("A", "a")
    assert world.slots["a"].wanted == 2, "nothing is taken from what serves"
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "NoRoom"
    world.spec = replace(world.spec, max_gpus=6)
    world.mend()
    world.run(200)
    at_rest(world, "B")


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_smaller_pods_in_place_are_more_once_no_larger_one_is_left(strategy: Strategy) -> None:
    world = serving(A=Behavior(gpus=2))
    world.spec = replace(CANARY, strategy=strategy, max_gpus=4)
    world.reconcile()
    world.scale(9)
    world.run(5)
    assert world.ready("a") == 2
    world.wanted = "B"
    world.run(2)
    assert (world.slots["a"].revision, world.bounds) == ("B", Bounds(cap=2))
    assert world.run(20).ready("a") == 4


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_an_update_of_the_same_size_takes_no_replica_away(strategy: Strategy) -> None:
    world = enlarged(strategy, limit=1, gpus=1, replicas=4).run(20)
    at_rest(world, "B")
    assert world.ready("a") == 4


NO_ROUTE = (Obstacle("NoOwnRoute", "There is no route."),)


def held_back(*, room: bool) -> World:
    """B is asked for, and cannot be a canary; stable has just lost its pods."""
    world = changing()
    world.spec = replace(CANARY, max_gpus=None if room else 3)
    world.obstacles = NO_ROUTE if room else ()
    world.run(5)
    world.lose("a")
    return world


@pytest.mark.parametrize("room", [True, False])
def test_a_held_change_stays_so_while_stable_has_no_ready_pod_for_a_moment(room: bool) -> None:
    world = held_back(room=room).run(50)
    assert world.status.stable == Assigned("A", "a")
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == ("NoOwnRoute" if room else "NoRoom")
    world.mend()
    world.run(100)
    assert world.status.stable == Assigned("A", "a")
    assert world.ready("a") == 2
    assert not world.told


@pytest.mark.parametrize("room", [True, False])
def test_a_held_change_goes_out_once_stable_is_gone_for_long(room: bool) -> None:
    world = held_back(room=room).run(59)
    assert world.status.stable == Assigned("A", "a")
    assert world.last is not None
    assert world.last.again is not None
    world.run(3)
    assert world.status.stable == Assigned("B", "a")
    assert [news.reason for news in world.told] == ["UpdatedInPlace"]


def test_a_held_change_goes_out_to_a_stable_that_is_asked_for_no_pod() -> None:
    world = changing()
    world.obstacles = NO_ROUTE
    world.run(5)
    stopped = {"a": SlotSeen("A", stopped=True)}
    seen = replace(world.observe(), slots=stopped)
    assert decide(CANARY, world.status, seen, world.now).words == "updated in place"
    unknown = {"a": SlotSeen("A", wanted=2, pods=2)}
    seen = replace(world.observe(), slots=unknown)
    assert not decide(CANARY, world.status, seen, world.now + timedelta(days=9)).moved


def test_a_stable_that_never_served_is_repaired_although_nothing_can_be_gated() -> None:
    world = World(behaviors={"A": Behavior(ready_s=None)}, obstacles=NO_ROUTE).run(10)
    world.wanted = "B"
    world.run(10)
    assert world.status.stable == Assigned("B", "a")
    assert world.ready("a") == 2


def test_without_an_obstacle_a_stable_without_ready_pods_is_updated_at_once() -> None:
    world = serving()
    world.lose("a")
    world.tick()
    world.wanted = "B"
    world.tick()
    assert world.status.stable == Assigned("B", "a")


def test_a_quota_holds_the_candidate_and_says_so_until_there_is_room() -> None:
    said = "exceeded quota: small, requested: pods=1"
    world = changing(Behavior(ready_s=None, refused=said))
    world.run_until(P.PAUSED)
    world.run(3000)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.NO_ROOM), "no deadline"
    assert world.weights == {"a": 100}
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "NoRoom"
    assert said in world.last.blocked.message
    assert "RollingUpdate would go without a gate" in world.last.blocked.message
    world.behaviors["B"] = Behavior()
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_a_quota_met_on_the_way_holds_the_weight() -> None:
    world = serving()
    world.scale(4)
    world.run(10)
    world.wanted = "B"
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None, refused="exceeded quota")
    world.run_until(P.PAUSED)
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.order("abort")
    world.run_until(P.FAILED)


def test_a_quota_met_while_a_weight_is_on_its_way_takes_no_gate_away() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, replicas=2), Step(100)))
    world.run_until(P.STEPPING)
    assert (world.status.weight, world.status.confirmed_at) == (10, None)
    world.slots["b"].pods[0].ready_at = None
    world.behaviors["B"] = Behavior(says=Outcome.FAIL, refused="exceeded quota")
    world.run(40)
    assert (world.status.phase, world.status.cause) == (P.FAILED, Cause.METRICS_FAILED)


def without_room(*, order: bool) -> World:
    """A promotion from one pod to two that a quota refuses."""
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10),))
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None, refused="exceeded quota")
    if order:
        world.order("promote")
    world.run_until(P.PAUSED)
    assert P.PROMOTING in world.phases
    return world


@pytest.mark.parametrize("order", [True, False])
def test_a_quota_met_by_a_promotion_holds_it_without_a_deadline(order: bool) -> None:
    world = without_room(order=order).run(3000)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.NO_ROOM)
    assert world.weights == {"a": 90, "b": 10}
    assert world.last is not None
    assert world.last.blocked is not None
    assert "exceeded quota" in world.last.blocked.message
    world.behaviors["B"] = Behavior()
    world.tick()
    assert world.status.phase is P.PROMOTING
    assert (world.status.cause is Cause.PROMOTED) is order
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_a_promotion_that_was_ordered_is_so_when_there_is_room_again() -> None:
    world = without_room(order=True)
    world.spec = replace(world.spec, paused=True)
    world.behaviors["B"] = Behavior(says=Outcome.FAIL)
    world.run_until(P.PROMOTING, 5)
    world.run(20)
    assert world.status.phase is P.PROMOTING, "neither the gates nor the pause hold it"
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_a_promotion_that_is_held_can_be_ended() -> None:
    world = without_room(order=True)
    world.order("abort")
    world.run_until(P.ROLLING_BACK)
    assert not world.status.promoting
    assert not world.status.ordered
    world.run_until(P.FAILED)
    world = without_room(order=False)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    assert not world.status.promoting
    world.run(200)
    at_rest(world, "C")


def test_a_promotion_waits_for_gpus_and_not_against_the_deadline() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10),), max_gpus=4)
    stepping_to(world, 10)
    world.spec = replace(world.spec, max_gpus=3)
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.NO_ROOM
    assert "2 replicas of the candidate do not fit maxGPUs 3" in world.status.message
    world.run(200)
    world.spec = replace(world.spec, max_gpus=4)
    world.run(200)
    at_rest(world, "B")


def test_what_is_in_the_way_of_a_new_route_holds_nothing_while_the_old_one_is_there() -> None:
    world = stepping_to(changing(), 10)
    world.obstacles = (Obstacle("NoOwnRoute", "No route."),)
    world.reconcile()
    assert world.last is not None
    assert world.last.blocked is None, "it goes on while its route is there"


def begun(phase: RolloutPhase) -> World:
    """A rollout in that phase; none of them would end by itself."""
    if phase is P.ANALYZING:
        return stepping_to(changing(), 10)
    if phase is P.PROMOTING:
        world = stepping_to(changing(), 10)
        world.accepts = False
        world.order("promote")
        return world.run_until(P.PROMOTING)
    world = changing()
    world.accepts = False
    return world.run_until(P.STEPPING)


@pytest.mark.parametrize("phase", [P.STEPPING, P.ANALYZING, P.PROMOTING])
def test_a_rollout_whose_gateway_goes_is_held_without_a_deadline(phase: RolloutPhase) -> None:
    world = begun(phase)
    weight = world.status.weight
    world.gateway = False
    world.behaviors["B"] = Behavior(says=Outcome.INCONCLUSIVE)
    world.run(3000)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.NO_ROUTE)
    assert world.status.weight == weight
    assert world.ready("a") == 2, "stable is left as it is"
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "GatewayApiMissing"
    assert "RollingUpdate would go without a gate" in world.last.blocked.message
    assert world.status.message == "Install the Gateway API."
    world.gateway = world.accepts = True
    world.behaviors["B"] = Behavior()
    world.run(200)
    at_rest(world, "B")
    assert P.ROLLING_BACK not in world.phases


def test_a_deadline_that_passed_before_the_gateway_went_was_seen_is_not_held_against_it() -> None:
    world = begun(P.STEPPING)
    world.gateway = False
    world.now += timedelta(seconds=1000)
    world.tick()
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.NO_ROUTE)


def test_a_gateway_that_goes_in_a_pause_is_no_silence_of_the_metrics() -> None:
    world = changing()
    limits = replace(CANARY.analysis.limits, on_inconclusive=OnInconclusive.ABORT)
    analysis = replace(CANARY.analysis, limits=limits)
    world.spec = replace(CANARY, analysis=analysis, steps=(Step(10, pause_s=600), Step(100)))
    world.run_until(P.PAUSED)
    world.gateway = False
    world.behaviors["B"] = Behavior(says=Outcome.INCONCLUSIVE)
    world.run(1000)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.NO_ROUTE)
    world.gateway = True
    world.behaviors["B"] = Behavior()
    world.tick()
    assert world.status.phase is P.STEPPING, "the step is looked at anew"
    assert world.status.confirmed == 10
    world.run(800)
    at_rest(world, "B")


def test_what_is_held_for_its_gateway_can_be_ended_and_still_fails() -> None:
    world = begun(P.ANALYZING)
    world.gateway = False
    world.run_until(P.PAUSED)
    world.order("abort")
    world.run_until(P.FAILED)
    assert world.status.cause is Cause.ABORTED
    world = begun(P.ANALYZING)
    world.gateway = False
    world.run_until(P.PAUSED)
    world.lose("b")
    world.run_until(P.FAILED)
    assert world.status.cause is Cause.LOST_READINESS


def test_an_unhealthy_scaler_holds_the_rollout() -> None:
    world = stepping_to(changing(), 10)
    world.scaler_healthy = False
    world.tick()
    assert world.status.cause is Cause.SCALER_UNHEALTHY
    world.scaler_healthy = True
    world.run(200)
    at_rest(world, "B")
