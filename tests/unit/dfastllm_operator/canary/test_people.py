"""What people ask for in the middle: to hold, promote, abort, or something else."""

from dataclasses import replace

import pytest

from dfastllm_operator.canary.observation import Order, Orders
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import FOREVER, Step, Strategy
from dfastllm_operator.canary.state import Assigned
from dfastllm_operator.gates.measurement import Outcome
from support.rollout_plays import at_rest, changing, serving, stepping_to
from support.rollout_slots import Behavior
from support.rollout_world import CANARY, World

P = RolloutPhase


def test_a_user_holds_the_rollout_and_lets_it_go_on() -> None:
    world = changing()
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    assert world.run(100).weights == {"a": 100}
    world.spec = CANARY
    stepping_to(world, 10)
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.spec = CANARY
    world.run(200)
    at_rest(world, "B")


def test_a_user_who_lets_go_on_takes_nothing_from_the_analysis() -> None:
    world = stepping_to(changing(), 10)
    began = world.status.confirmed_at
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED).run(20)
    world.spec = CANARY
    world.tick()
    assert (world.status.phase, world.status.confirmed_at) == (P.ANALYZING, began)


def test_a_user_can_hold_the_last_move() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(50),))
    world.run_until(P.PROMOTING)
    world.spec = replace(world.spec, paused=True)
    world.tick()
    assert world.status.phase is P.PAUSED
    assert world.weights["b"] == 50
    world.spec = replace(world.spec, paused=False)
    world.tick()
    assert world.status.phase is P.PROMOTING, "the last step has been passed"
    assert not world.status.promoting
    world.run(200)
    at_rest(world, "B")


def test_an_edited_step_takes_effect_at_once() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.WAITING)), 10)
    world.spec = replace(CANARY, steps=(Step(20), Step(100)))
    stepping_to(world, 20)


def test_fewer_steps_than_were_passed_end_in_the_last_one() -> None:
    world = stepping_to(changing(), 50)
    world.spec = replace(CANARY, steps=(Step(10),))
    world.run(200)
    at_rest(world, "B")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_abort_goes_back_to_stable_and_is_not_tried_again(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.order("abort")
    world.run(100)
    assert world.status.phase is P.FAILED
    assert world.status.cause is Cause.ABORTED
    at_rest(world, "A")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_a_reverted_spec_goes_back_to_stable(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.wanted = "A"
    world.run(100)
    assert world.status.phase is P.STABLE
    assert not world.status.failed
    at_rest(world, "A")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_a_newer_revision_takes_the_place_of_the_candidate(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    world.run_until(P.PREPARING)
    assert world.status.candidate == Assigned("C", "b")
    world.spec = CANARY
    world.run(200)
    at_rest(world, "C")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_another_strategy_ends_the_canary_and_goes_its_own_way(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.spec = replace(world.spec, strategy=Strategy.ROLLING_UPDATE)
    world.run(100)
    assert world.status.stable == Assigned("B", "a")
    at_rest(world, "B")


def test_only_the_newest_revision_waits() -> None:
    world = stepping_to(changing(), 10)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    world.wanted = "D"
    world.run(200)
    at_rest(world, "D")
    assert "C" not in "".join(n.message for n in world.told if "candidate C" in n.message)


def test_back_to_stable_while_being_superseded() -> None:
    world = stepping_to(changing(), 10)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    world.wanted = "A"
    world.run(60)
    assert world.status.phase is P.STABLE
    at_rest(world, "A")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED])
def test_a_promotion_skips_the_steps_that_are_left(phase: RolloutPhase) -> None:
    world = entered(phase)
    if phase is P.PREPARING:
        world.run(2)
    while not world.ready("b"):
        world.tick()
    world.order("promote")
    world.run_until(P.STABLE)
    at_rest(world, "B")
    assert P.FINALIZING in world.phases


def test_a_candidate_that_is_not_ready_is_not_promoted() -> None:
    world = changing(Behavior(ready_s=None)).run(2)
    world.order("promote")
    world.tick()
    assert world.status.phase is P.PREPARING
    assert world.told[-1].reason == "OrderRefused"
    assert world.status.handled.promote == "B/1"


def test_orders_for_another_revision_are_refused() -> None:
    world = stepping_to(changing(), 10)
    world.orders = Orders(promote=Order("A", "1"), abort=Order("X", "1"), retry=Order("B", "1"))
    world.tick()
    assert world.told[-1].reason == "OrderRefused"
    assert world.status.phase is P.ANALYZING
    world.run(200)
    at_rest(world, "B")


@pytest.mark.parametrize("kind", ["promote", "abort"])
def test_an_order_without_a_nonce_is_refused_and_says_what_it_lacks(kind: str) -> None:
    world = stepping_to(changing(), 10)
    world.order(kind, nonce="")
    world.tick()
    assert (world.told[-1].reason, world.told[-1].warning) == ("OrderRefused", True)
    assert f"rollout-{kind} has no nonce: write B/NONCE" in world.told[-1].message
    assert (world.status.phase, world.status.weight) == (P.ANALYZING, 10)
    world.run(200)
    at_rest(world, "B")
    assert len([n for n in world.told if n.reason == "OrderRefused"]) == 1


def test_an_order_to_a_frozen_service_waits_and_is_carried_out_afterwards() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.WAITING)), 10)
    world.frozen = True
    world.order("promote")
    world.run(20)
    assert (world.status.phase, world.status.handled.promote) == (P.ANALYZING, "")
    world.frozen = False
    world.run(100)
    at_rest(world, "B")


def test_a_retry_without_a_nonce_is_refused() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run_until(P.FAILED)
    world.order("retry", nonce="")
    world.run(20)
    assert world.status.phase is P.FAILED
    assert "rollout-retry has no nonce: write B/NONCE" in world.told[-1].message
    world.order("retry")
    world.run_until(P.PREPARING, 2)


def test_a_promotion_in_a_pause_goes_through_the_pause() -> None:
    world = stepping_to(changing(), 10)
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    world.order("promote")
    world.run(100)
    at_rest(world, "B")


def test_the_former_stable_gets_all_traffic_back_at_once_while_it_stands() -> None:
    world = changing().run_until(P.FINALIZING)
    world.tick()
    world.wanted = "A"
    world.tick()
    assert world.status.phase is P.ROLLING_BACK
    assert world.weights == {"a": 100, "b": 0}
    assert world.bounds.floor == 2
    world.run(100)
    at_rest(world, "A")


def test_a_former_stable_that_is_gone_is_a_new_revision_like_any_other() -> None:
    world = changing().run_until(P.FINALIZING)
    world.lose("a")
    world.wanted = "A"
    world.run_until(P.PREPARING)
    world.run(200)
    at_rest(world, "A")


def weight_wanted(behavior: Behavior) -> World:
    """The first weight is written to the route, which has not reported it."""
    world = changing(behavior).run_until(P.STEPPING)
    assert (world.status.weight, world.status.confirmed_at) == (10, None)
    return world


def test_a_user_holds_a_step_on_its_way_once_the_route_has_its_weight() -> None:
    world = weight_wanted(Behavior())
    world.spec = replace(CANARY, paused=True)
    world.run(2)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.USER_PAUSE)
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.spec = CANARY
    world.tick()
    assert world.status.phase is not P.PAUSED
    world.run(200)
    at_rest(world, "B")


def test_a_candidate_that_fails_is_rolled_back_although_its_step_was_held_on_its_way() -> None:
    world = weight_wanted(Behavior(says=Outcome.FAIL))
    world.spec = replace(CANARY, paused=True)
    world.run(40)
    assert (world.status.phase, world.status.cause) == (P.FAILED, Cause.METRICS_FAILED)
    at_rest(world, "A")


def test_a_route_that_reports_nothing_ends_a_rollout_that_a_user_holds() -> None:
    world = weight_wanted(Behavior())
    world.accepts, world.spec = False, replace(CANARY, paused=True)
    world.run_until(P.ROLLING_BACK, 70)
    assert world.status.cause is Cause.ROUTE_DEADLINE


@pytest.mark.parametrize("phase", list(P))
def test_an_order_that_means_nothing_is_refused_in_every_phase(phase: RolloutPhase) -> None:
    world = at(phase)
    world.orders = Orders(retry=Order("X", "5"))
    world.reconcile()
    refused = [n for n in world.told if n.reason == "OrderRefused"]
    assert len(refused) == 1
    assert world.status.handled.retry == "X/5"
    world.run(30)
    assert [n for n in world.told if n.reason == "OrderRefused"] == refused


def entered(phase: RolloutPhase) -> World:
    """A rollout of B that has just come to `phase`."""
    world = changing()
    if phase is P.PROMOTING:
        world.spec = replace(CANARY, steps=(Step(50),))
    if phase is P.PAUSED:
        world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    world.run_until(phase)
    world.spec = replace(CANARY, steps=world.spec.steps)
    return world


def at(phase: RolloutPhase) -> World:
    """A world in any phase."""
    match phase:
        case P.STABLE:
            return serving()
        case P.FAILED | P.ROLLING_BACK:
            return changing(Behavior(says=Outcome.FAIL)).run_until(phase)
        case P.SUPERSEDED:
            world = stepping_to(changing(), 10)
            world.wanted = "C"
            return world.run_until(phase)
        case P.FINALIZING:
            return changing().run_until(phase)
        case _:
            return entered(phase)
