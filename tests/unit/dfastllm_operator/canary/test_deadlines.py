"""Deadlines: what they do not count, and what has its time once more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dfastllm_operator.canary.machine import decide
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.gates.measurement import Outcome
from support.rollout_plays import at_rest, changing, growing, stepping_to
from support.rollout_slots import Behavior
from support.rollout_world import CANARY, World

P = RolloutPhase


def test_a_frozen_service_is_not_touched() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    world.frozen = True
    before = world.stored
    world.run(100)
    assert world.stored == before
    assert world.last is not None
    assert world.last.arrangement is None
    world.frozen = False
    world.run_until(P.FAILED)


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.PROMOTING])
def test_the_deadline_does_not_run_while_the_service_is_frozen(phase: RolloutPhase) -> None:
    world = changing(Behavior(ready_s=None)) if phase is P.PREPARING else growing(phase)
    world.run_until(phase).run(50)
    world.frozen = True
    world.run(200)
    world.frozen = False
    told = list(world.told)
    world.run(50)
    assert world.status.phase is phase, "it has all its time again"
    assert world.told == told
    world.run(20)
    assert world.status.cause is Cause.PROGRESS_DEADLINE


def test_a_freeze_and_its_end_in_one_second_are_seen_once() -> None:
    world = changing(Behavior(ready_s=None)).run(1)
    began = world.status.step_since
    assert began is not None
    seen = replace(world.observe(), paused_since=began + timedelta(seconds=1))
    moved = decide(CANARY, world.status, seen, began + timedelta(seconds=0.3))
    assert (moved.words, moved.news) == ("thawed", None)
    assert not decide(CANARY, moved.status, seen, began + timedelta(seconds=0.4)).moved


def idle(world: World, seconds: int) -> World:
    """All that is decided in this time is not done."""
    for _ in range(seconds):
        world.tick(effects=0)
    return world


@pytest.mark.parametrize("away", [100, 1000])
def test_what_no_operator_made_has_its_time_once_more(away: int) -> None:
    world = idle(changing(), 2)
    world.now += timedelta(seconds=away)
    world.tick()
    assert (world.status.phase, world.status.extended) == (P.PREPARING, True)
    world.run(200)
    assert P.ROLLING_BACK not in world.phases
    at_rest(world, "B")


def test_what_nobody_can_make_ends_at_twice_the_deadline() -> None:
    world = idle(changing(), 115)
    assert world.status.phase is P.PREPARING
    idle(world, 10)
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    assert "not made within twice 60 s" in world.status.message


def test_what_was_made_and_is_not_ready_has_no_more_time() -> None:
    world = changing(Behavior(ready_s=None)).run(2)
    assert idle(world, 62).status.cause is Cause.PROGRESS_DEADLINE


@pytest.mark.parametrize("away", [100, 1000])
def test_a_weight_that_no_operator_wrote_has_its_time_once_more(away: int) -> None:
    world = idle(changing().run(2), 5)
    assert (world.status.phase, world.status.weight) == (P.STEPPING, 10)
    world.now += timedelta(seconds=away)
    world.run(200)
    assert P.ROLLING_BACK not in world.phases
    at_rest(world, "B")


def test_a_weight_that_nobody_can_write_ends_at_twice_the_deadline() -> None:
    world = idle(changing().run(2), 115)
    assert world.status.phase is P.STEPPING
    idle(world, 10)
    assert world.status.cause is Cause.ROUTE_DEADLINE
    assert "not given weight 10 within twice 60 s" in world.status.message
