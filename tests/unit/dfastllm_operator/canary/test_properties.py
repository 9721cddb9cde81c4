"""What holds on every path of a rollout, whatever people, pods, routes and operators do.

The world checks each write by itself: weights, endpoints, delays, GPUs (`support.rollout_world`).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfastllm_operator.canary.observation import Obstacle
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import Step, Strategy
from dfastllm_operator.gates.measurement import Outcome
from support.rollout_slots import Behavior
from support.rollout_world import CANARY, World

Action = Callable[[World], None]
Path = list[tuple[Action, int]]

BEHAVIORS = {
    "A": Behavior(),
    "B": Behavior(says=Outcome.FAIL),
    "C": Behavior(ready_s=6.0),
    "D": Behavior(ready_s=None),
    "E": Behavior(says=Outcome.INCONCLUSIVE, running=2),
    "G": Behavior(gpus=2),
    "H": Behavior(),
}
GOOD, BAD = ("A", "C"), ("B", "D")


def _set(name: str, value: object) -> Action:
    return lambda world: setattr(world, name, value)


def _spec(**fields: Any) -> Action:
    return lambda world: setattr(world, "spec", replace(world.spec, **fields))


def _order(kind: str) -> st.SearchStrategy[Action]:
    nonces = st.integers(0, 3).map(str)
    return nonces.map(lambda nonce: lambda world: world.order(kind, nonce))


cut_short = st.integers(0, 4).map(lambda n: lambda world: world.tick(effects=n))
"""An operator that is killed between any two writes of one look."""

wishes: st.SearchStrategy[Action] = st.one_of(
    _order("promote"),
    _order("abort"),
    _order("retry"),
    st.booleans().map(lambda b: _spec(paused=b)),
    st.booleans().map(lambda b: _set("frozen", b)),
    st.sampled_from([(Step(100),), (Step(1), Step(30, replicas=2)), CANARY.steps]).map(
        lambda steps: _spec(steps=steps)
    ),
)
faults: st.SearchStrategy[Action] = st.one_of(
    st.booleans().map(lambda b: _set("accepts", b)),
    st.booleans().map(lambda b: _set("switches", b)),
    st.booleans().map(lambda b: _set("gateway", b)),
    st.sampled_from(["stable", "candidate", "candidate"]).map(
        lambda role: lambda world: world.lose_role(role)
    ),
    st.just(lambda world: world.mend()),
    st.sampled_from([None, True, False]).map(lambda b: _set("scaler_healthy", b)),
    st.sampled_from([(), (Obstacle("GatewayApiMissing", "Install it."),)]).map(
        lambda obstacles: _set("obstacles", obstacles)
    ),
)
scaling: st.SearchStrategy[Action] = st.integers(1, 5).map(lambda n: lambda world: world.scale(n))
asking = st.sampled_from(sorted(BEHAVIORS)).map(lambda r: _set("wanted", r))
actions = st.one_of(asking, asking, wishes, faults, scaling, cut_short)
paths = st.lists(st.tuples(actions, st.integers(0, 25)), min_size=2, max_size=12)
"""Each action with the seconds after it: also over the ends of deadlines and delays."""


def follow(world: World, path: Path) -> Iterator[World]:
    for action, seconds in path:
        action(world)
        yield world.run(seconds)


def begun(max_gpus: int | None = None) -> World:
    spec = replace(CANARY, max_gpus=max_gpus)
    return World(spec=spec, behaviors={k: replace(b) for k, b in BEHAVIORS.items()}).run(8)


def healed(world: World) -> World:
    """Nothing is broken, held or odd any more."""
    world.accepts, world.obstacles, world.frozen, world.scaler_healthy = True, (), False, None
    world.switches = world.gateway = True
    world.spec = replace(CANARY, max_gpus=world.spec.max_gpus)
    world.orders = replace(world.orders, promote=None, abort=None, retry=None)
    world.mend()
    return world


def settled(world: World, seconds: int = 400) -> World:
    """Long enough for everything that time brings about; then nothing is left to do."""
    world.run(seconds)
    stored, weights, slots = world.stored, dict(world.weights), set(world.slots)
    world.run(50)
    assert (world.stored, world.weights, set(world.slots)) == (stored, weights, slots)
    return world


def ends(world: World) -> tuple[object, ...]:
    """The end state, up to slot letters, times and history."""
    status = world.status
    assert status.stable is not None
    stable = status.stable.slot
    return (
        status.phase,
        status.stable.revision,
        status.candidate,
        status.leaving,
        {("stable" if slot == stable else "other"): w for slot, w in world.weights.items()},
        ["stable" if slot == stable else "other" for slot in world.slots],
        [slot.revision for slot in world.slots.values()],
    )


FEW = 15
MANY = 300


def holds(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A test over a few examples, and a slow one over many."""

    def of(rule: Callable[..., None]) -> Any:
        def test(examples: int) -> None:
            few = settings(
                max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck)
            )
            few(given(*strategies)(rule))()

        long = pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])
        return pytest.mark.parametrize("examples", [FEW, long])(test)

    return of


@cache
def undisturbed(max_gpus: int | None) -> tuple[object, ...]:
    fresh = begun(max_gpus)
    fresh.wanted = "Z"
    return ends(settled(fresh))


@holds(paths, st.sampled_from([None, 4, 6]))
def test_every_path_ends_where_the_last_good_spec_leads(path: Path, max_gpus: int | None) -> None:
    world = begun(max_gpus)
    for _ in follow(world, path):
        pass
    healed(world).wanted = "Z"
    world.scale(1)
    assert ends(settled(world)) == undisturbed(max_gpus)


@holds(st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(0, 60)), max_size=8))
def test_flapping_between_good_and_bad_revisions_ends_as_the_last_one_does(
    asked: list[tuple[str, int]],
) -> None:
    world = begun()
    for revision, seconds in asked:
        world.wanted = revision
        world.run(seconds)
    status = settled(world).status
    assert status.stable is not None
    if world.wanted in GOOD:
        assert (status.phase, status.stable.revision) == (RolloutPhase.STABLE, world.wanted)
    else:
        assert (status.phase, status.failed) == (RolloutPhase.FAILED, world.wanted)
        assert status.stable.revision in GOOD


@holds(paths)
def test_a_bad_revision_never_takes_the_place_of_one_that_serves(path: Path) -> None:
    world = begun()
    world.wanted = "B"
    world.run(3)
    for _ in follow(world, path):
        pass
    promoted = ""
    for move in world.moves:
        before, after = move.before, move.after
        if after.candidate not in (None, before.candidate):
            promoted = ""
        if move.words == "promote":
            assert before.candidate is not None
            promoted = before.candidate.revision
        if before.stable is None or after.stable == before.stable:
            continue
        assert after.stable is not None
        if after.stable.revision in BAD and move.words != "former stable again":
            asked = promoted == after.stable.revision
            assert asked or not move.ready, f"nobody asked for it: {move.words}"


@holds(paths, st.sampled_from(Strategy), st.sampled_from([2, 4, 6]))
def test_no_strategy_takes_more_gpus_than_there_are(
    path: Path, strategy: Strategy, max_gpus: int
) -> None:
    """The world counts at each write."""
    world = begun(max_gpus)
    world.spec = replace(world.spec, strategy=strategy)
    for _ in follow(world, path):
        pass
    settled(world)
    assert world.held <= max_gpus


@holds(paths)
def test_strategies_can_be_changed_at_any_time(path: Path) -> None:
    world = begun()
    for _ in follow(world, path):
        pass
    healed(world).wanted = "Z"
    world.spec = replace(world.spec, strategy=Strategy.RECREATE)
    status = settled(world).status
    assert status.phase is RolloutPhase.STABLE
    assert status.stable is not None
    assert status.stable.revision == "Z"
