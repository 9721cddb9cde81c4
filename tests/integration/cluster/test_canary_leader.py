"""A leader that is cut off in the middle of a rollout: the other one goes on, and it moves nothing.

The cut comes as the leader has written that the candidate is to get weight, and before it could do
anything about it.
"""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from canary_stories.going_out import HOLDS_LONG
from cluster.rig import Rig
from dfastllm_operator.app import Exit
from support.faultproxy import FaultProxy
from support.faults import Drop
from support.moves import Moves, Row
from support.operators import Operator
from support.process import until
from support.reaper import TALKATIVE
from support.scene import P, Scene
from support.telling import Theatre, theatre

TERMS: dict[str, Any] = {
    "leader_elect": True,
    "lease_duration_s": 5,
    "renew_deadline_s": 4,
    "request_timeout_s": 60,
    **TALKATIVE,
}
WEIGHT = Row("Stepping", "Stepping", "weight wanted")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def other(rig: Rig) -> Iterator[FaultProxy]:
    """The second replica's own way to the API server; there for longer than the replica."""
    with FaultProxy(rig.url, rig.ca) as proxy:
        yield proxy


@pytest.fixture
def here(rig: Rig, other: FaultProxy) -> Iterator[Theatre]:
    with theatre(rig) as here:
        yield here


def _leads(operator: Operator) -> bool:
    assert operator.running, operator.tail()
    return bool(operator.said("leading"))


def _pair(here: Theatre, other: FaultProxy) -> tuple[Operator, Operator]:
    """The leader, which the stage takes for its own, and the one that waits."""
    leader = here.stage.start(**TERMS)
    until(lambda: _leads(leader), "the first replica leads")
    waiting = here.stage.start(proxy=other, **TERMS)
    here.stage.operators.reverse()
    return leader, waiting


def _cut_off(here: Theatre, scene: Scene, cut: Callable[[], object]) -> str:
    """A rollout whose leader is cut off in the middle; the candidate."""

    def told(_: str, row: Row) -> None:
        if row == WEIGHT:
            here.stage.proxy.ledger.forget()
            cut()

    here.stage.proxy.ledger.on_write(Moves(here.stage, told).on_write)
    new = scene.change(0.6)
    scene.reach(P.STEPPING, weight=10)
    return new


def test_a_leader_that_sleeps_in_the_middle_moves_nothing_when_it_wakes(
    here: Theatre, other: FaultProxy
) -> None:
    leader, waiting = _pair(here, other)
    scene = here.scene("slept", calm=False)
    old = scene.begin(analysis=HOLDS_LONG)
    try:
        new = _cut_off(here, scene, lambda: leader.signal(signal.SIGSTOP))
        writes = len(here.stage.proxy.ledger.writes)
        until(lambda: _leads(waiting), "the other leads")
        scene.reach(P.ANALYZING, candidate={"revision": new, "slot": "b"})
        scene.edit(decoding=None)
        scene.reach(P.STABLE, stable={"revision": old, "slot": "a"})
    finally:
        leader.signal(signal.SIGCONT)
    assert leader.wait() == Exit.LEASE_LOST
    assert len(here.stage.proxy.ledger.writes) == writes
    scene.settle()
    assert scene.weights()[-1] == {"a": 100}


def test_a_leader_without_connection_is_succeeded_in_the_middle(
    here: Theatre, other: FaultProxy
) -> None:
    leader, waiting = _pair(here, other)
    scene = here.scene("cut", calm=False)
    scene.begin(steps=[{"weight": 10}, {"weight": 100}])
    new = _cut_off(here, scene, lambda: here.stage.proxy.fault(Drop()))
    until(lambda: _leads(waiting), "the other leads")
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    assert leader.wait() == Exit.LEASE_LOST
    scene.settle()
    assert [w["b"] for w in scene.weights() if "b" in w] == [10, 100, 100]
