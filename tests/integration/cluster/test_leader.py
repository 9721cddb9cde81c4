"""Two operators, one leader: another takes over at once, and nothing is written twice."""

import signal
from collections.abc import Iterator

import pytest

from cluster.rig import Rig
from dfastllm_operator import rbac
from dfastllm_operator.app import Exit
from dfastllm_operator.kinds import LEASE
from support.faultproxy import FaultProxy
from support.operators import Operator, Stage, staged
from support.process import until


@pytest.fixture
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig, start=False) as stage:
        yield stage


@pytest.fixture
def other_proxy(rig: Rig) -> Iterator[FaultProxy]:
    """Tells what the second replica asks for from what the first one does."""
    with FaultProxy(rig.url, rig.ca) as proxy:
        yield proxy


def _leads(operator: Operator) -> bool:
    return "dfastllm_operator_leader 1.0" in operator.metrics()


def _start(stage: Stage, proxy: FaultProxy) -> Operator:
    return stage.start(leader_elect=True, proxy=proxy)


def _holder(stage: Stage) -> str:
    lease = stage.api.get(LEASE, stage.namespace, rbac.LEASE_NAME)
    return str(lease["spec"].get("holderIdentity") or "")


def test_one_replica_works_and_the_other_takes_over_when_it_is_killed(
    stage: Stage, other_proxy: FaultProxy
) -> None:
    first = _start(stage, stage.proxy)
    until(lambda: _leads(first), "a leader")
    second = _start(stage, other_proxy)
    stage.services.create()
    before = stage.services.settled()
    assert not _leads(second)
    assert other_proxy.ledger.writes == []

    first.kill()
    first.wait()
    until(lambda: _leads(second), "another leader")
    stage.services.create("later")
    stage.services.settled("later")
    assert stage.services.end_state() == before
    assert not [call for call in other_proxy.ledger.writes if call.name.startswith("demo")]


def test_a_leader_that_is_stopped_gives_the_lease_back(
    stage: Stage, other_proxy: FaultProxy
) -> None:
    first = _start(stage, stage.proxy)
    until(lambda: _leads(first), "a leader")
    first.stop()
    assert _holder(stage) == ""
    second = _start(stage, other_proxy)
    until(lambda: _leads(second), "another leader")


def test_a_leader_that_was_asleep_writes_nothing_when_it_wakes(
    stage: Stage, other_proxy: FaultProxy
) -> None:
    first = _start(stage, stage.proxy)
    stage.services.create()
    stage.services.settled()
    first.signal(signal.SIGSTOP)
    try:
        second = _start(stage, other_proxy)
        until(lambda: _leads(second), "another leader")
        stage.services.edit(env=[{"name": "NEW", "value": "1"}])
        settled = stage.services.settled()
        asleep = len(stage.proxy.ledger.writes)
        stage.services.edit(networkPolicy={"enabled": True})  # something to do for whoever wakes
    finally:
        first.signal(signal.SIGCONT)
    assert first.wait() == Exit.LEASE_LOST
    assert stage.proxy.ledger.writes[asleep:] == []
    stage.services.edit(networkPolicy=None)
    until(lambda: stage.services.settled() == settled, "the same end")
