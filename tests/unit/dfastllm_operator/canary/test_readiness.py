"""A candidate that does not get ready, or loses readiness; a route that takes no weight."""

from dataclasses import replace

import pytest

from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import Step
from dfastllm_operator.gates.measurement import Outcome
from support.rollout_plays import at_rest, changing, stepping_to
from support.rollout_slots import Behavior
from support.rollout_world import CANARY

P = RolloutPhase


def test_a_candidate_that_never_gets_ready_meets_the_deadline_without_traffic() -> None:
    world = changing(Behavior(ready_s=None)).run(120)
    assert world.phases == [P.PREPARING, P.ROLLING_BACK, P.FAILED]
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    assert "B is not ready" in world.status.message
    at_rest(world, "A")


def test_a_candidate_that_cannot_start_is_not_waited_for() -> None:
    world = changing(Behavior(ready_s=None, hopeless=True)).run(10)
    assert world.status.phase is P.FAILED
    assert world.status.cause is Cause.CANNOT_START


def test_a_route_that_never_accepts_a_weight_ends_in_failure() -> None:
    world = changing()
    world.accepts = False
    world.run(200)
    assert world.phases == [P.PREPARING, P.STEPPING, P.ROLLING_BACK, P.FAILED]
    assert world.status.cause is Cause.ROUTE_DEADLINE


def test_a_candidate_with_believed_weight_stays_until_the_route_takes_it_back() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    world.accepts = False
    world.run(300)
    assert world.status.phase is P.ROLLING_BACK
    assert world.ready("b") == 1
    world.accepts = True
    world.run_until(P.FAILED)


def test_lost_readiness_takes_the_weight_at_once_and_may_be_won_back() -> None:
    world = stepping_to(changing(), 10)
    world.lose("b")
    world.reconcile()
    assert world.weights == {"a": 100, "b": 0}
    assert world.status.phase is P.STEPPING
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_lost_readiness_that_stays_is_rolled_back() -> None:
    world = stepping_to(changing(), 10)
    world.lose("b")
    world.run_until(P.ROLLING_BACK, 30)
    assert world.status.cause is Cause.LOST_READINESS
    world.run_until(P.FAILED)


@pytest.mark.parametrize("user", [True, False])
def test_lost_readiness_counts_in_a_pause_as_well(user: bool) -> None:
    world = changing(Behavior(says=Outcome.PASS if user else Outcome.INCONCLUSIVE))
    stepping_to(world, 10)
    world.spec = replace(world.spec, paused=user)
    world.run_until(P.PAUSED)
    world.lose("b")
    world.reconcile()
    assert world.weights["a"] == 100
    assert world.status.phase is P.PAUSED
    world.run_until(P.ROLLING_BACK, 30)


def test_readiness_lost_while_promoting_is_not_promoted() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(50),))
    world.run_until(P.PROMOTING)
    world.lose("b")
    world.run_until(P.ROLLING_BACK, 40)
    world.run_until(P.FAILED)
    at_rest(world, "A")


def test_a_stable_that_is_not_ready_keeps_its_share() -> None:
    world = stepping_to(changing(), 10)
    world.lose("a")
    world.reconcile()
    assert world.weights == {"a": 90, "b": 10}


def test_readiness_lost_before_the_route_reports_takes_the_weight_as_well() -> None:
    world = changing()
    world.accepts = False
    while not world.status.weight:
        world.tick()
    world.lose("b")
    world.reconcile()
    assert world.status.phase is P.STEPPING
    assert world.weights.get("b", 0) == 0


def test_losses_count_over_the_steps() -> None:
    world = stepping_to(changing(), 10)
    world.lose("b")
    world.tick()
    world.mend()
    stepping_to(world, 50)
    world.lose("b")
    world.run_until(P.ROLLING_BACK, 2)
    assert world.status.cause is Cause.LOST_READINESS


def test_a_candidate_that_does_not_grow_in_time_is_rolled_back() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10), Step(50, replicas=5)))
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None)
    world.run_until(P.ROLLING_BACK)
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    assert "1 of 5 replicas" in world.status.message


def test_a_candidate_that_does_not_reach_stables_size_is_not_promoted() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10),))
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None)
    world.run_until(P.FAILED)
    assert P.PROMOTING in world.phases
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    at_rest(world, "A")


def test_a_route_that_does_not_take_the_last_weight_keeps_what_it_has() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(50),))
    world.run_until(P.PROMOTING)
    world.accepts = False
    world.run_until(P.ROLLING_BACK)
    assert world.status.cause is Cause.ROUTE_DEADLINE
    world.accepts = True
    world.run_until(P.FAILED)


def test_a_candidate_of_which_a_part_is_ready_is_promoted_once_it_has_its_size() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, replicas=2), Step(100)))
    world.run_until(P.PREPARING)
    world.slots["b"].pods[0].ready_at = world.now
    world.order("promote")
    world.tick()
    assert world.status.phase is P.PROMOTING
    assert world.weights == {"a": 100}
    world.run_until(P.FINALIZING)
    assert world.ready("b") == 2
