"""The pause of a step: how it is kept, and how it ends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import FOREVER, Step
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.plan import Limits, OnInconclusive
from support.rollout_plays import at_rest, changing, stepping_to
from support.rollout_slots import Behavior
from support.rollout_world import CANARY, World

P = RolloutPhase


def test_a_pause_of_a_step_is_kept_and_ends_by_itself() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=60), Step(100, pause_s=20)))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.STEP_PAUSE
    since = world.status.confirmed_at
    stepping_to(world, 100)
    assert since is not None
    assert world.now - since >= timedelta(seconds=60)
    world.run(200)
    at_rest(world, "B")


def held_for_a_minute(*outcomes: Outcome) -> World:
    """The pause of a step ends soon; the looks until then come out as these."""
    world = changing()
    analysis = replace(CANARY.analysis, limits=Limits(failures=3, errors=3, inconclusive=3))
    world.spec = replace(CANARY, steps=(Step(10, pause_s=60), Step(100)), analysis=analysis)
    world.run_until(P.PAUSED)
    assert world.status.confirmed_at is not None
    ends = world.status.confirmed_at + timedelta(seconds=60)
    while world.now < ends - timedelta(seconds=5 * len(outcomes)):
        world.tick()
    for outcome in outcomes:
        world.behaviors["B"] = Behavior(says=outcome)
        world.run(5)
    assert world.now == ends
    return world


@pytest.mark.parametrize(
    "outcome", [Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.WAITING]
)
def test_a_pause_is_over_once_the_latest_look_passes(outcome: Outcome) -> None:
    world = held_for_a_minute(outcome)
    world.run(1)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.STEP_PAUSE)
    assert world.weights == {"a": 90, "b": 10}
    world.behaviors["B"] = Behavior()
    world.run_until(P.STEPPING, 8)
    assert world.status.step == 1


def test_a_candidate_that_fails_as_its_pause_ends_is_rolled_back() -> None:
    world = held_for_a_minute(Outcome.FAIL)
    world.run_until(P.ROLLING_BACK, 15)
    assert world.status.cause is Cause.METRICS_FAILED
    assert P.STEPPING not in world.phases[world.phases.index(P.PAUSED) :]


@pytest.mark.parametrize(
    ("outcome", "cause", "reason"),
    [
        (Outcome.ERROR, Cause.SOURCE_FAILED, "MetricsUnreadable"),
        (Outcome.INCONCLUSIVE, Cause.INCONCLUSIVE, "MetricsInconclusive"),
    ],
)
def test_metrics_that_are_gone_in_a_pause_hold_the_rollout(
    outcome: Outcome, cause: Cause, reason: str
) -> None:
    world = held_for_a_minute(outcome, outcome, outcome)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, cause)
    assert "errorRate" in world.status.message
    assert (world.told[-1].reason, world.told[-1].warning) == (reason, True)
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.behaviors["B"] = Behavior()
    world.run(200)
    at_rest(world, "B")


def test_metrics_that_are_gone_in_a_pause_end_the_rollout_where_that_is_asked_for() -> None:
    world = held_for_a_minute(Outcome.ERROR, Outcome.ERROR)
    limits = Limits(errors=3, on_inconclusive=OnInconclusive.ABORT)
    world.spec = replace(world.spec, analysis=replace(CANARY.analysis, limits=limits))
    world.run_until(P.ROLLING_BACK, 8)
    assert world.status.cause is Cause.METRICS_MISSING


def test_a_pause_without_end_ends_by_an_edit_of_the_step() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    assert world.run(300).status.phase is P.PAUSED
    world.spec = replace(CANARY, steps=(Step(10), Step(100)))
    world.run(100)
    at_rest(world, "B")


def test_a_weight_lost_in_a_pause_is_wanted_again() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    world.run_until(P.PAUSED)
    world.lose("b")
    world.reconcile()
    world.mend()
    stepping_to(world, 10)
