"""Beginnings of plays in the small world of a rollout, and how one ends."""

from dataclasses import replace

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import Step
from support.rollout_slots import Behavior
from support.rollout_world import CANARY, World

P = RolloutPhase


def serving(**behaviors: Behavior) -> World:
    """Revision A serves with two replicas."""
    return World(behaviors=behaviors).run(10)


def changing(behavior: Behavior | None = None) -> World:
    """The spec has just come to ask for B."""
    world = serving(**({"B": behavior} if behavior else {}))
    world.wanted = "B"
    world.phases.clear()
    world.told.clear()
    return world


def stepping_to(world: World, weight: int) -> World:
    for _ in range(400):
        if world.status.weight == weight and world.status.phase is P.ANALYZING:
            return world
        world.tick()
    raise AssertionError(f"never at {weight}: {world.phases}")


def at_rest(world: World, revision: str) -> None:
    status = world.status
    assert status.stable is not None
    assert status.stable.revision == revision
    assert status.candidate is None
    assert status.leaving is None
    assert world.weights == {status.stable.slot: 100}
    assert set(world.slots) == {status.stable.slot}


def growing(phase: RolloutPhase) -> World:
    """A candidate with weight 10 that does not get to its next size."""
    world = changing()
    steps = (Step(10),) if phase is P.PROMOTING else (Step(10), Step(50, replicas=5))
    world.spec = replace(CANARY, steps=steps)
    stepping_to(world, 10)
    while world.status.phase is P.ANALYZING:
        world.tick()
    world.slots["b"].pods[1].ready_at = None
    assert world.status.phase is phase
    assert world.status.weight == 10
    return world
