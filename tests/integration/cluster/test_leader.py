"""Of two replicas one works, the other takes over when it goes, and nothing is done twice."""

import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.rig import Rig
from dfastllm_operator.app import Exit
from dfastllm_operator.kinds import LEASE
from dfastllm_operator.rbac import LEASE_NAME
from support.faultproxy import FaultProxy
from support.faults import Drop
from support.kubeapi import Json
from support.operators import LEAVING_S, Operator, Stage, staged
from support.process import until
from support.services import Services

LEASE_TERMS: dict[str, Any] = {"lease_duration_s": 5, "renew_deadline_s": 4}
"""A busy machine stalls for seconds."""
FOR_EVER: dict[str, Any] = {"lease_duration_s": 3600, "renew_deadline_s": 1800}
MIDWAY = 4  # of the objects that a new service takes, in writes


@pytest.fixture
def other(rig: Rig) -> Iterator[FaultProxy]:
    """The second replica's own way to the API server; there for longer than the replica."""
    with FaultProxy(rig.url, rig.ca) as proxy:
        yield proxy


@pytest.fixture
def stage(rig: Rig, other: FaultProxy) -> Iterator[Stage]:
    with staged(rig, start=False) as stage:
        yield stage


def _pair(stage: Stage, other: FaultProxy, **settings: Any) -> tuple[Operator, Operator]:
    """The leader and the one that waits."""
    given = {"leader_elect": True, **LEASE_TERMS, **settings}
    leader = stage.start(**given)
    until(lambda: _leads(leader), "the first replica leads")
    return leader, stage.start(proxy=other, **given)


def _leads(operator: Operator) -> bool:
    assert operator.running, operator.tail()
    return bool(operator.said("leading"))


def _lease(stage: Stage) -> Json:
    return dict(stage.api.get(LEASE, stage.namespace, LEASE_NAME)["spec"])


def _as_if_undisturbed(services: Services) -> None:
    """`demo` came to what a service comes to that one operator has seen from begin to end."""
    services.create("undisturbed")
    assert services.settled() == services.settled("undisturbed")
    told = Counter((event["reason"], event["message"]) for event in services.events())
    assert told == Counter(
        (event["reason"], event["message"]) for event in services.events("undisturbed")
    )
    assert set(told.values()) == {1}


def test_only_the_leader_works_and_its_successor_finds_nothing_to_do(
    stage: Stage, other: FaultProxy
) -> None:
    leader, waiting = _pair(stage, other)
    stage.services.create()
    before, pods = stage.services.settled(), stage.services.pod_uids()
    assert stage.proxy.ledger.writes
    assert not other.ledger.writes
    assert not other.open_watches
    assert waiting.status("/livez") == waiting.status("/readyz") == 200
    assert not _leads(waiting)

    leader.kill()
    leader.wait()
    until(lambda: waiting.said("synced"), "the other works")
    stage.services.create("later")
    stage.services.settled("later")
    assert stage.services.end_state() == before
    assert stage.services.pod_uids() == pods
    assert not [call for call in other.ledger.writes if call.name.startswith("demo")]


def test_the_other_takes_over_when_the_leader_is_killed_at_work(
    stage: Stage, other: FaultProxy
) -> None:
    leader, waiting = _pair(stage, other)
    stage.proxy.ledger.after_write(MIDWAY, lambda _: leader.kill())
    stage.services.create()
    assert leader.wait() == -signal.SIGKILL
    until(lambda: _leads(waiting), "the other leads")
    _as_if_undisturbed(stage.services)
    assert len(stage.proxy.ledger.writes) == MIDWAY


def test_a_leader_that_is_asked_to_go_gives_the_lease_back(stage: Stage, other: FaultProxy) -> None:
    leader, waiting = _pair(stage, other, **FOR_EVER)
    holder = _lease(stage)["holderIdentity"]
    waiting.stop()
    assert _lease(stage)["holderIdentity"] == holder
    waiting = stage.start(proxy=other, leader_elect=True, **FOR_EVER)
    stage.proxy.ledger.after_write(MIDWAY, lambda _: leader.signal(signal.SIGTERM))
    stage.services.create()
    assert leader.wait(LEAVING_S) == Exit.STOPPED
    until(lambda: _leads(waiting), "the other leads, an hour before the Lease runs out")
    _as_if_undisturbed(stage.services)
    waiting.stop()
    assert not _lease(stage)["holderIdentity"]


def test_a_leader_that_slept_writes_nothing_when_it_wakes(stage: Stage, other: FaultProxy) -> None:
    leader, waiting = _pair(stage, other, request_timeout_s=60)
    # Stopped between two writes of one reconcile; the answer is there, and good, when it wakes.
    stage.proxy.ledger.after_write(MIDWAY, lambda _: leader.signal(signal.SIGSTOP))
    stage.services.create()
    try:
        until(lambda: _leads(waiting), "the other leads")
        _as_if_undisturbed(stage.services)
        held = _lease(stage)
    finally:
        leader.signal(signal.SIGCONT)
    assert leader.wait() == Exit.LEASE_LOST
    assert len(stage.proxy.ledger.writes) == MIDWAY
    now = _lease(stage)
    assert now["holderIdentity"] == held["holderIdentity"]
    assert now["leaseTransitions"] == held["leaseTransitions"]
    assert _leads(waiting)


def test_a_leader_that_cannot_renew_ends_though_it_could_still_write(
    stage: Stage, other: FaultProxy
) -> None:
    leader, waiting = _pair(stage, other)
    stage.proxy.fault(Drop(), resource=LEASE.plural)
    until(lambda: _leads(waiting), "the other leads")
    stage.services.create()  # the first one may hear of it still
    assert leader.wait() == Exit.LEASE_LOST
    _as_if_undisturbed(stage.services)
    assert not stage.proxy.ledger.writes
