"""What a rollout does when nothing is in its way, and what follows a failure."""

from dataclasses import replace

import pytest

from dfastllm_operator.canary.decision import Bounds
from dfastllm_operator.canary.machine import decide
from dfastllm_operator.canary.observation import Obstacle
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import Step, Strategy
from dfastllm_operator.canary.state import Assigned, RolloutStatus
from dfastllm_operator.gates.measurement import Outcome
from support.rollout_plays import at_rest, changing, serving, stepping_to
from support.rollout_slots import Behavior
from support.rollout_world import CANARY, World

P = RolloutPhase


def test_the_first_revision_serves_without_any_gate() -> None:
    world = World().run(10)
    assert world.phases == [P.STABLE]
    at_rest(world, "A")
    assert not world.told


def test_a_good_revision_is_promoted_step_by_step() -> None:
    world = changing().run(200)
    assert world.phases == [
        P.PREPARING,
        *(P.STEPPING, P.ANALYZING) * 3,
        P.PROMOTING,
        P.FINALIZING,
        P.STABLE,
    ]
    at_rest(world, "B")
    assert world.status.stable == Assigned("B", "b")
    assert [n.reason for n in world.told].count("WeightWanted") == 3


def test_the_candidate_has_its_size_before_each_weight() -> None:
    world = serving()
    world.replicas = 10
    world.scale(10)
    world.run(10)
    world.wanted = "B"
    sizes = {10: 1, 50: 5, 100: 10}
    for weight, size in sizes.items():
        stepping_to(world, weight)
        assert world.ready("b") == size


def test_the_candidate_is_never_smaller_than_stable_before_it_takes_all() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, replicas=1),))
    world.run_until(P.FINALIZING)
    assert world.ready("b") == world.ready("a") == 2


def test_a_scaler_may_raise_stable_meanwhile_and_the_candidate_follows() -> None:
    world = stepping_to(changing(), 10)
    world.scale(4)
    stepping_to(world, 50)
    assert world.ready("b") == 2
    world.scale(1)
    assert world.slots["a"].wanted == 4
    world.run_until(P.FINALIZING)
    assert world.ready("b") == 4
    assert world.slots["a"].wanted == 4
    assert world.bounds == Bounds(floor=4, cap=None, steady=True)
    world.run_until(P.STABLE)
    world.tick()
    assert world.bounds == Bounds()


def test_a_bad_revision_is_rolled_back_and_stays_failed() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    assert world.phases == [P.PREPARING, P.STEPPING, P.ANALYZING, P.ROLLING_BACK, P.FAILED]
    at_rest(world, "A")
    status = world.status
    assert (status.failed, status.cause) == ("B", Cause.METRICS_FAILED)
    assert "errorRate" in status.message
    assert status.measurements


def test_failures_below_the_limit_are_forgiven_with_the_step() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    while not world.status.tally.failures:
        world.tick()
    world.behaviors["B"].says = Outcome.PASS
    world.run_until(P.STABLE)
    at_rest(world, "B")


def test_a_failed_revision_is_not_tried_again_by_other_edits() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.spec = replace(world.spec, steps=(Step(5),), analysis=replace(world.spec.analysis))
    assert world.run(100).status.phase is P.FAILED
    world.spec = replace(world.spec, strategy=Strategy.ROLLING_UPDATE)
    assert world.run(100).status.phase is P.FAILED


def test_a_retry_tries_a_failed_revision_once_more() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.order("retry", "7")
    world.run_until(P.PREPARING).run(200)
    assert world.status.phase is P.FAILED, "the same nonce counts once"
    world.behaviors["B"].says = Outcome.PASS
    world.order("retry", "8")
    world.run(200)
    at_rest(world, "B")


def test_a_retry_that_cannot_be_gated_goes_as_any_change_would() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.spec = replace(world.spec, strategy=Strategy.ROLLING_UPDATE)
    world.order("retry", "7")
    world.run(20)
    at_rest(world, "B")


def test_a_failed_revision_is_tried_again_after_another_one() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.wanted = "A"
    world.run(5)
    assert world.status.phase is P.STABLE
    assert not world.status.failed
    world.wanted = "B"
    world.run_until(P.PREPARING)


def test_a_new_revision_follows_a_failed_one() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.wanted = "C"
    world.tick()
    assert world.status.phase is P.PREPARING
    world.run(200)
    at_rest(world, "C")


def test_a_new_revision_that_is_held_ends_the_failure_of_the_former() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.obstacles = (Obstacle("GatewayApiMissing", "Install it."),)
    world.wanted = "C"
    world.run(5)
    assert world.status.phase is P.STABLE
    assert world.last is not None
    assert world.last.blocked is not None


@pytest.mark.parametrize("strategy", [Strategy.ROLLING_UPDATE, Strategy.RECREATE])
def test_without_a_gate_the_revision_changes_in_its_slot(strategy: Strategy) -> None:
    world = changing()
    world.spec = replace(CANARY, strategy=strategy)
    world.run(10)
    at_rest(world, "B")
    assert world.status.stable == Assigned("B", "a")


def test_a_stable_without_ready_pods_is_replaced_as_by_a_first_deployment() -> None:
    world = World(behaviors={"A": Behavior(ready_s=None)}).run(10)
    world.wanted = "B"
    world.run(10)
    assert world.status.stable == Assigned("B", "a")
    assert world.ready("a") == 2


def test_a_lost_status_is_taken_from_what_serves() -> None:
    world = changing().run(200)
    seen = replace(world.observe(), serving=("b", "B"))
    decision = decide(CANARY, RolloutStatus(), seen, world.now)
    assert decision.status.stable == Assigned("B", "b")


def test_a_lost_status_with_two_slots_drains_the_other() -> None:
    world = stepping_to(changing(), 10)
    seen = replace(world.observe(), serving=("a", "A"))
    decision = decide(CANARY, RolloutStatus(), seen, world.now)
    assert decision.status.phase is P.FINALIZING
    assert decision.status.leaving is not None
    assert decision.status.leaving.revision == "B"


def test_each_change_of_phase_is_told_once() -> None:
    world = changing().run(300)
    told = [n.reason for n in world.told if n.reason.startswith("Rollout")]
    assert told == [f"Rollout{phase}" for phase in world.phases]
