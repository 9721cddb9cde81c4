"""What the metrics say, and what comes of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import FOREVER, Step
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.plan import Limits, OnInconclusive
from support.rollout_plays import at_rest, changing, growing, stepping_to
from support.rollout_slots import Behavior
from support.rollout_world import CANARY

P = RolloutPhase


def test_inconclusive_metrics_hold_the_weight_until_they_speak_again() -> None:
    world = changing(Behavior(says=Outcome.INCONCLUSIVE))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.INCONCLUSIVE
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.behaviors["B"].says = Outcome.PASS
    world.run(200)
    at_rest(world, "B")


def test_what_was_seen_of_slow_traffic_counts_on_once_it_is_enough() -> None:
    world = changing(Behavior(says=Outcome.WAITING))
    stepping_to(world, 10)
    began = world.status.confirmed_at
    world.behaviors["B"] = Behavior(says=Outcome.INCONCLUSIVE)
    world.run_until(P.PAUSED)
    world.behaviors["B"] = Behavior()
    world.run_until(P.ANALYZING, 8)
    assert world.status.confirmed_at == began
    assert (world.status.cause, world.status.message) == (None, "")
    assert world.status.tally.inconclusive == 0
    assert world.status.tally.measured_at == world.now, "it counts once"
    assert world.status.measurements[0]["outcome"] == "Pass"
    world.run_until(P.STEPPING, 8)
    assert world.status.step == 1


@pytest.mark.parametrize("edit", [Step(20), None])
def test_a_weight_that_was_not_held_is_given_anew(edit: Step | None) -> None:
    world = stepping_to(changing(Behavior(says=Outcome.INCONCLUSIVE)), 10)
    world.run_until(P.PAUSED).run(6)
    if edit is None:
        world.weights = {"a": 95, "b": 5}
    else:
        world.spec = replace(CANARY, steps=(edit, Step(100)))
    world.behaviors["B"] = Behavior()
    world.phases.clear()
    world.run_until(P.ANALYZING)
    assert world.phases == [P.STEPPING, P.ANALYZING]


def test_a_source_that_fails_holds_the_weight() -> None:
    world = changing(Behavior(says=Outcome.ERROR))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.SOURCE_FAILED


def test_inconclusive_metrics_can_end_the_rollout() -> None:
    world = changing(Behavior(says=Outcome.INCONCLUSIVE))
    limits = Limits(inconclusive=2, on_inconclusive=OnInconclusive.ABORT)
    world.spec = replace(CANARY, analysis=replace(CANARY.analysis, limits=limits))
    world.run_until(P.FAILED)
    assert world.status.cause is Cause.METRICS_MISSING


def test_too_few_requests_count_as_nothing() -> None:
    world = changing(Behavior(says=Outcome.WAITING))
    assert world.run(300).status.phase is P.ANALYZING


def test_metrics_that_fail_in_a_pause_roll_back() -> None:
    world = stepping_to(changing(Behavior()), 10)
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    world.behaviors["B"].says = Outcome.FAIL
    world.run_until(P.ROLLING_BACK, 30)


@pytest.mark.parametrize("phase", [P.STEPPING, P.PROMOTING])
def test_metrics_that_fail_while_the_candidate_grows_roll_back(phase: RolloutPhase) -> None:
    world = growing(phase)
    world.behaviors["B"] = Behavior(ready_s=None, says=Outcome.FAIL)
    world.run(6)
    assert (world.status.phase, world.status.tally.failures) == (phase, 1)
    world.run_until(P.ROLLING_BACK, 8)
    assert world.status.cause is Cause.METRICS_FAILED
    assert "errorRate" in world.status.message


@pytest.mark.parametrize("phase", [P.STEPPING, P.PROMOTING])
@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.ERROR, Outcome.INCONCLUSIVE])
def test_other_looks_while_the_candidate_grows_move_nothing(
    phase: RolloutPhase, outcome: Outcome
) -> None:
    world = growing(phase)
    before = world.status
    world.behaviors["B"] = Behavior(ready_s=None, says=outcome)
    world.run(40)
    status = world.status
    assert (status.phase, status.step, status.weight) == (phase, before.step, 10)
    assert status.measurements[0]["outcome"] == outcome
    silent = outcome is not Outcome.PASS
    assert (status.tally.errors + status.tally.inconclusive >= 3) is silent, "for people"
    world.behaviors["B"] = Behavior()
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_failures_before_a_step_do_not_count_in_it() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    while not world.status.tally.failures:
        world.tick()
    world.behaviors["B"].says = Outcome.PASS
    world.run_until(P.STEPPING, 8)
    assert world.status.tally.failures == 0
    assert world.status.tally.measured_at == world.now, "nor does the look that ended it"


def test_a_promotion_by_order_goes_on_whatever_the_metrics_say() -> None:
    world = stepping_to(changing(), 10)
    world.order("promote")
    world.tick()
    world.behaviors["B"] = Behavior(says=Outcome.FAIL, ready_s=30)
    for pod in world.slots["b"].pods[1:]:
        pod.ready_at = world.now + timedelta(seconds=30)
    assert world.status.phase is P.PROMOTING
    world.run_until(P.STABLE)
    at_rest(world, "B")


def test_what_a_held_rollout_measures_is_written_when_it_says_something_else() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    before = world.run(300).stored
    assert world.run(300).stored == before
    world.behaviors["B"] = Behavior(says=Outcome.INCONCLUSIVE)
    after = world.run(20).stored
    assert after["measurements"] != before["measurements"]
    assert after["cause"] == "Inconclusive"
    assert world.run(300).stored == after
    world.behaviors["B"] = Behavior(says=Outcome.FAIL)
    world.run_until(P.FAILED)
