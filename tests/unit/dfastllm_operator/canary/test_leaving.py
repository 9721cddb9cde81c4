"""The slot that is left: when it goes, and what it waits for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.state import Assigned
from dfastllm_operator.gates.measurement import Outcome
from support.rollout_plays import at_rest, changing
from support.rollout_slots import Behavior
from support.rollout_world import CANARY

P = RolloutPhase


def test_a_slot_is_left_alone_for_the_delay_and_until_it_is_idle() -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=3)
    world.run_until(P.FINALIZING)
    began = world.now
    world.run(12)
    assert world.ready("a") == 2
    world.behaviors["A"].running = 0
    world.run(2)
    assert "a" not in world.weights
    assert world.now - began >= timedelta(seconds=10)
    world.run_until(P.STABLE)
    assert not any(n.reason == "StreamsCut" for n in world.told)


@pytest.mark.parametrize(("running", "told"), [(3, True), (None, False)])
def test_a_slot_that_does_not_get_idle_is_cut_at_the_timeout(
    running: int | None, told: bool
) -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=running)
    world.run_until(P.FINALIZING)
    world.run(38)
    assert world.ready("a") == 2
    world.run_until(P.STABLE, 20)
    assert any(n.reason == "StreamsCut" and "3 requests" in n.message for n in world.told) is told


@pytest.mark.parametrize(
    ("running", "unanswered", "told"),
    [
        (3, 2, "At least 3 requests were still running on revision A after drain.timeout of 30 s"),
        (0, 2, "At least 0 requests"),
    ],
)
def test_pods_that_do_not_answer_are_waited_for_and_told(
    running: int, unanswered: int, told: str
) -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=running, unanswered=unanswered)
    world.run_until(P.FINALIZING)
    world.run(38)
    assert world.ready("a") == 2
    while world.status.leaving and not world.status.leaving.drained:
        world.tick()
    assert world.status.leaving is not None
    assert (world.status.leaving.cut, world.status.leaving.unanswered) == (running, unanswered)
    (said,) = (n.message for n in world.told if n.reason == "StreamsCut")
    assert said.startswith(told)
    assert said.endswith("and are cut; 2 pods did not answer.")


def test_a_slot_stays_while_the_address_inside_the_cluster_leads_to_it() -> None:
    world = changing()
    world.switches = False
    world.run_until(P.FINALIZING)
    world.run(300)
    assert world.address == "a"
    assert world.ready("a") == 2, "neither the delay nor drain.timeout ends it"
    assert world.status.phase is P.FINALIZING
    world.switches = True
    switched = world.now
    while world.status.leaving is not None and not world.status.leaving.drained:
        world.tick()
    assert world.now - switched >= timedelta(seconds=10), "the delay begins with the switch"
    world.run_until(P.STABLE)
    at_rest(world, "B")
    assert world.address == "b"


def test_a_newer_revision_is_told_what_keeps_the_slot() -> None:
    world = changing()
    world.switches = False
    world.run_until(P.FINALIZING)
    world.wanted = "C"
    world.run(20)
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "SlotBusy"
    assert "the address inside the cluster still leads to it" in world.last.blocked.message
    world.switches = True
    world.run_until(P.PREPARING)
    assert world.status.candidate == Assigned("C", "a")


def test_a_former_stable_that_comes_back_may_find_its_address_where_it_was() -> None:
    world = changing()
    world.switches = False
    world.run_until(P.FINALIZING)
    world.wanted = "A"
    world.run_until(P.STABLE)
    at_rest(world, "A")


def test_a_candidate_that_was_stable_stands_while_the_address_leads_to_it() -> None:
    world = changing()
    world.spec = replace(CANARY, scale_down_delay_s=100)
    world.run_until(P.FINALIZING).run(5)
    assert world.address == "b"
    world.switches = False
    world.wanted = "A"
    world.run(300)
    assert world.status.phase is P.ROLLING_BACK
    assert world.weights == {"a": 100, "b": 0}
    assert world.ready("b") == 2
    world.switches = True
    world.run_until(P.STABLE)
    at_rest(world, "A")


def test_pods_that_do_not_go_are_named_to_whoever_waits_for_their_slot() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run_until(P.ROLLING_BACK)
    world.dead_nodes = True
    while "b" in world.slots and world.slots["b"].exists:
        world.tick()
    world.wanted = "C"
    due = min(p.gone_at for p in world.slots["b"].pods if p.gone_at is not None)
    while world.now < due + timedelta(seconds=30):
        assert world.last is not None
        assert world.last.blocked is None, "pods have their time to go"
        world.tick()
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "SlotBusy"
    assert "Pod B-0 on node node-1 should be gone since 2026-01-01T" in world.last.blocked.message
    assert "kubectl delete node node-1" in world.last.blocked.message
    assert world.run(300).status.phase is P.ROLLING_BACK, "they may run still"
    world.dead_nodes = False
    world.run_until(P.PREPARING, 10)
    assert world.status.candidate == Assigned("C", "b")


def test_a_pod_that_does_not_go_is_looked_at_when_it_is_late() -> None:
    world = changing().run_until(P.FINALIZING)
    world.dead_nodes = True
    while world.slots["a"].exists:
        world.tick()
    (due,) = {pod.gone_at for pod in world.slots["a"].pods}
    assert due is not None
    world.run(29)
    assert world.last is not None
    assert world.last.again == due + timedelta(seconds=30)
    world.run(60)
    assert world.last.blocked is None, "nobody waits for the slot"
    assert world.last.again is None


def test_a_newer_revision_ends_the_delay_but_not_the_drain() -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=3)
    world.spec = replace(CANARY, scale_down_delay_s=100)
    world.run_until(P.FINALIZING)
    world.wanted = "C"
    world.run(20)
    assert world.status.phase is P.FINALIZING
    assert world.ready("a") == 2
    world.behaviors["A"].running = 0
    world.run_until(P.PREPARING, 10)
    assert world.status.candidate == Assigned("C", "a")


def test_a_candidate_that_never_had_traffic_goes_without_delay() -> None:
    world = changing().run_until(P.PREPARING)
    world.wanted = "A"
    world.run(6)
    assert world.status.phase is P.STABLE


def test_a_failure_is_forgotten_when_the_spec_moves_on_during_the_rollback() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run_until(P.ROLLING_BACK)
    world.wanted = "A"
    world.run_until(P.STABLE)
    assert not world.status.failed


def test_a_rollback_is_not_reconsidered() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run_until(P.ROLLING_BACK)
    world.behaviors["B"].says = Outcome.PASS
    world.order("promote", "9")
    world.run(60)
    assert world.status.phase is P.FAILED
