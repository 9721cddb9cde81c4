import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.errors import LeaseLost
from dfastllm_operator.leader import Leader, Terms
from dfastllm_operator.transport import Timeouts
from support.scripted_api import Answer, Asked, Hang, Json, ScriptedApi, Status, run, until

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
LEASE = f"{LEASES}/op"
TERMS = Terms(duration_s=1.2, renew_deadline_s=0.8, retry_s=0.02)
LONG = Terms(duration_s=60.0, renew_deadline_s=40.0, retry_s=0.01)


class LeaseApi:
    """One Lease with Kubernetes' optimistic locking. `trouble` is answered in place of a write."""

    def __init__(self, api: ScriptedApi) -> None:
        self.lease: Json | None = None
        self.trouble: Answer | None = None
        self.lose_answers = False
        self.version = 0
        api.on("GET", LEASE, self._get)
        api.on("POST", LEASES, self._create)
        api.on("PUT", LEASE, self._replace)

    @property
    def spec(self) -> Json:
        assert self.lease is not None
        spec: Json = self.lease["spec"]
        return spec

    def _get(self, _: Asked) -> Answer:
        return Status(404) if self.lease is None else self.lease

    def _create(self, asked: Asked) -> Answer:
        if self.trouble is not None:
            return self.trouble
        return Status(409) if self.lease is not None else self._store(asked.body)

    def _replace(self, asked: Asked) -> Answer:
        if self.trouble is not None:
            return self.trouble
        if self.lease is None:
            return Status(404)
        if asked.body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return Status(409)
        written = self._store(asked.body)
        return Hang() if self.lose_answers else written

    def _store(self, body: Json) -> Json:
        self.version += 1
        meta = {**body["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**body, "metadata": meta}
        return self.lease


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


Body = Callable[[LeaseApi, Callable[..., Leader]], Awaitable[None]]


def electing(folder: Path, body: Body, request_s: float = 5.0) -> None:
    async def test() -> None:
        async with ScriptedApi(folder) as api:
            cluster = Cluster(api.login(), timeouts=Timeouts(request_s=request_s))

            def candidate(identity: str, terms: Terms = LONG, **more: Any) -> Leader:
                return Leader(cluster, "ns", "op", identity, terms, **more)

            try:
                await body(LeaseApi(api), candidate)
            finally:
                await cluster.close()

    run(test())


def test_the_first_one_leads_and_the_lease_says_so(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one")
        with pytest.raises(LeaseLost, match="ns/op"):
            leader.permit()
        await leader.acquire()
        assert 59.0 < leader.permit() <= 60.0
        assert api.spec["holderIdentity"] == "one"
        assert api.spec["leaseDurationSeconds"] == 60
        assert api.spec["leaseTransitions"] == 0
        assert api.spec["renewTime"].endswith("Z")

    electing(tmp_path, body)


def test_another_waits_while_the_leader_renews(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader, other = candidate("one", TERMS), candidate("two", TERMS)
        await leader.acquire()
        keeping = asyncio.create_task(leader.keep())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.acquire(), 2 * TERMS.duration_s)
        assert not keeping.done()
        assert leader.permit() > 0
        with pytest.raises(LeaseLost):
            other.permit()
        keeping.cancel()

    electing(tmp_path, body)


def test_a_lease_that_is_not_renewed_is_taken_over_once_it_has_run_out(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        clock = Clock()
        leader = candidate("one", clock=clock)
        other = candidate("two", clock=clock)
        await leader.acquire()
        clock.now += 3600.0  # for how long it was held before nobody knows: not our clock
        taking = asyncio.create_task(other.acquire())
        await asyncio.sleep(0.1)
        clock.now += 59.0
        await asyncio.sleep(0.1)
        assert not taking.done()
        clock.now += 2.0
        await taking
        assert api.spec["holderIdentity"] == "two"
        assert api.spec["leaseTransitions"] == 1
        with pytest.raises(LeaseLost):
            leader.permit()

    electing(tmp_path, body)


def test_a_lease_given_back_is_taken_at_once(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader, other = candidate("one"), candidate("two")
        await leader.acquire()
        taking = asyncio.create_task(other.acquire())
        await asyncio.sleep(0.05)
        await leader.release()
        with pytest.raises(LeaseLost):
            leader.permit()
        await taking
        assert api.spec["holderIdentity"] == "two"
        await leader.release()
        assert api.spec["holderIdentity"] == "two", "what is not ours is not given back"

    electing(tmp_path, body)


def test_a_renewal_that_is_broken_off_after_the_write_does_not_keep_the_lease(
    tmp_path: Path,
) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one", TERMS)
        await leader.acquire()
        api.lose_answers = True
        keeping = asyncio.create_task(leader.keep())
        await until(lambda: api.version > 1)
        keeping.cancel()
        api.lose_answers = False
        await leader.release()
        assert api.spec["holderIdentity"] == ""

    electing(tmp_path, body)


def test_two_that_ask_at_once_do_not_both_lead(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        candidates = [candidate(str(number)) for number in range(5)]
        tasks = [asyncio.create_task(one.acquire()) for one in candidates]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.1)
        assert sum(task.done() for task in tasks) == 1
        for task in tasks:
            task.cancel()

    electing(tmp_path, body)


@pytest.mark.parametrize("trouble", [Hang(), Status(503), Status(403)])
def test_a_leader_that_cannot_renew_gives_up_before_others_take_over(
    tmp_path: Path, trouble: Answer
) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one", TERMS)
        await leader.acquire()
        api.trouble = trouble
        with pytest.raises(LeaseLost):
            await leader.keep()

    electing(tmp_path, body)


def test_a_leader_gets_over_a_short_trouble(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one", Terms(duration_s=9.0, renew_deadline_s=6.0, retry_s=0.02))
        await leader.acquire()
        keeping = asyncio.create_task(leader.keep())
        api.trouble = Status(503)
        await asyncio.sleep(0.1)
        api.trouble = None
        before = api.version
        await until(lambda: api.version > before + 1)
        assert not keeping.done()
        keeping.cancel()

    electing(tmp_path, body)


def test_a_renewal_whose_answer_was_lost_is_still_a_renewal(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one", Terms(duration_s=9.0, renew_deadline_s=6.0, retry_s=0.02))
        await leader.acquire()
        api.lose_answers = True
        keeping = asyncio.create_task(leader.keep())
        await until(lambda: api.version > 1)
        await asyncio.sleep(0.1)
        api.lose_answers = False
        before = api.version
        await until(lambda: api.version > before + 1)
        assert not keeping.done()
        assert leader.permit() > 0
        keeping.cancel()

    electing(tmp_path, body, request_s=0.05)


def test_a_leader_that_was_replaced_stops_at_its_next_renewal(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one")
        await leader.acquire()
        assert api.lease is not None
        api._store({**api.lease, "spec": {**api.spec, "holderIdentity": "two"}})
        with pytest.raises(LeaseLost):
            await leader.keep()
        assert api.spec["holderIdentity"] == "two"

    electing(tmp_path, body)


def test_a_lease_that_somebody_deleted_is_made_again(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one")
        await leader.acquire()
        keeping = asyncio.create_task(leader.keep())
        api.lease = None
        await until(lambda: api.lease is not None)
        assert not keeping.done()
        keeping.cancel()

    electing(tmp_path, body)


def test_a_candidate_waits_through_every_trouble(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one", TERMS)
        api.trouble = Status(500)
        acquiring = asyncio.create_task(leader.acquire())
        await asyncio.sleep(0.1)
        api.trouble = Hang()
        await asyncio.sleep(0.9)
        assert not acquiring.done()
        api.trouble = None
        await acquiring

    electing(tmp_path, body)


def test_the_permit_runs_out_by_the_clock_even_if_nothing_else_runs(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        clock = Clock()
        leader = candidate("one", clock=clock)
        await leader.acquire()
        clock.now += 39.0
        assert leader.permit() == 21.0
        clock.now += 1.0
        with pytest.raises(LeaseLost):
            leader.permit()

    electing(tmp_path, body)


def test_a_lease_that_cannot_be_given_back_stops_nobody_from_leaving(tmp_path: Path) -> None:
    async def body(api: LeaseApi, candidate: Callable[..., Leader]) -> None:
        leader = candidate("one")
        await leader.release()
        await leader.acquire()
        api.trouble = Status(503)
        await leader.release()

    electing(tmp_path, body)
