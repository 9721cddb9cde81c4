import asyncio
import faulthandler
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator import app
from dfastllm_operator.app import Exit
from dfastllm_operator.settings import PREFIX, Settings
from support.scripted_api import (
    Asked,
    Hang,
    ScriptedApi,
    Status,
    Stream,
    listed,
    made,
    run,
    serve_services,
    until,
)

CRD = "/apis/dfastllm.io/v1alpha1"
SERVICES = f"{CRD}/namespaces/ns/dfastllmservices"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
LEASE = f"{LEASES}/dfastllm-operator"
QUICK: dict[str, Any] = {
    "namespaces": "ns",
    "lease_namespace": "ns",
    "lease_duration_s": 30,
    "renew_deadline_s": 20,
    "retry_period_s": 0.05,
    "request_timeout_s": 15,
    "outage_s": 0.1,
    "shutdown_s": 1,
    "health_host": "127.0.0.1",
    "health_port": 0,
    "hub_endpoint": "",
}


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a run changes in its process."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    faulthandler.cancel_dump_traceback_later()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def scripted(api: ScriptedApi) -> None:
    """A cluster with the CRD, every permission, and nothing in it."""

    def otherwise(asked: Asked) -> Any:
        if asked.method != "GET":
            return Status(404)
        return Stream(end="silent") if "watch" in asked.query else listed()

    serve_services(api)
    api.on("POST", REVIEW, {"status": {"allowed": True}})
    api.on("GET", LEASE, Status(404))
    api.on(
        "POST",
        LEASES,
        lambda asked: {**asked.body, "metadata": made("dfastllm-operator")["metadata"]},
    )
    api.on("PUT", LEASE, lambda asked: asked.body)
    api.otherwise = otherwise


Body = Callable[[ScriptedApi, "asyncio.Task[Exit]"], Awaitable[None]]


def running(folder: Path, prepare: Callable[[ScriptedApi], None], body: Body, **more: Any) -> Exit:
    """Run the operator in this process until it ends; `body` meanwhile."""
    ended: list[Exit] = []

    async def test() -> None:
        async with ScriptedApi(folder) as api:
            scripted(api)
            prepare(api)
            api.login()
            settings = Settings(**{**QUICK, "kubeconfig": str(folder / "kubeconfig"), **more})
            operator = asyncio.create_task(app.run(settings))
            await body(api, operator)
            ended.append(await operator)

    run(test(), 30.0)
    return ended[0]


async def by_itself(api: ScriptedApi, operator: "asyncio.Task[Exit]") -> None:
    await asyncio.wait([operator])


async def stopped_at_work(api: ScriptedApi, operator: "asyncio.Task[Exit]") -> None:
    await until(lambda: operator.done() or len(api.requests("PUT", LEASE)) > 2)
    await until(lambda: operator.done() or [a for a in api.asked if "watch" in a.query])
    os.kill(os.getpid(), signal.SIGTERM)


def nothing(_: ScriptedApi) -> None:
    pass


def test_sigterm_at_work_is_a_clean_end_that_gives_the_lease_back(tmp_path: Path) -> None:
    seen: list[Asked] = []

    async def body(api: ScriptedApi, operator: "asyncio.Task[Exit]") -> None:
        await stopped_at_work(api, operator)
        await operator
        seen.extend(api.requests("PUT", LEASE))

    assert running(tmp_path, nothing, body) is Exit.STOPPED
    assert seen[-1].body["spec"]["holderIdentity"] == ""


def test_sigterm_while_another_leads_is_a_clean_end(tmp_path: Path) -> None:
    def prepare(api: ScriptedApi) -> None:
        spec = {"holderIdentity": "another", "leaseDurationSeconds": 3600}
        api.on("GET", LEASE, {**made("dfastllm-operator"), "spec": spec})

    async def body(api: ScriptedApi, operator: "asyncio.Task[Exit]") -> None:
        await until(lambda: len(api.requests("GET", LEASE)) > 2)
        os.kill(os.getpid(), signal.SIGTERM)

    assert running(tmp_path, prepare, body) is Exit.STOPPED


def test_sigterm_while_the_api_server_is_waited_for_is_a_clean_end(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, operator: "asyncio.Task[Exit]") -> None:
        await until(lambda: api.requests("GET", CRD))
        os.kill(os.getpid(), signal.SIGTERM)

    def prepare(api: ScriptedApi) -> None:
        api.on("GET", CRD, Hang())

    assert running(tmp_path, prepare, body, outage_s=60) is Exit.STOPPED


def test_a_single_replica_needs_no_lease(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, operator: "asyncio.Task[Exit]") -> None:
        await until(lambda: operator.done() or [a for a in api.asked if "watch" in a.query])
        os.kill(os.getpid(), signal.SIGTERM)
        await operator
        assert not [a for a in api.asked if "leases" in a.path]

    assert running(tmp_path, nothing, body, leader_elect=False) is Exit.STOPPED


def test_a_lost_lease_ends_the_process(tmp_path: Path) -> None:
    def prepare(api: ScriptedApi) -> None:
        api.on("PUT", LEASE, Status(409))
        taken = {**made("dfastllm-operator"), "spec": {"holderIdentity": "another"}}
        api.on("GET", LEASE, Status(404), Status(404), taken)  # the check, the leader, the loser

    assert running(tmp_path, prepare, by_itself) is Exit.LEASE_LOST


@pytest.mark.parametrize(
    ("method", "path", "answer", "end"),
    [
        ("GET", CRD, Status(404), Exit.NOT_INSTALLED),
        ("POST", REVIEW, {"status": {"allowed": False}}, Exit.NOT_ALLOWED),
        ("GET", CRD, Status(503), Exit.NO_ACCESS),
        ("GET", CRD, Status(401), Exit.NO_ACCESS),
        ("GET", "/api", Status(503), Exit.BROKEN),
        ("GET", SERVICES, Stream((("ERROR", {"code": 500, "message": "x"}),)), Exit.BROKEN),
    ],
    ids=["no-crd", "no-permission", "busy", "no-login", "kopf-cannot-start", "kopf-dies"],
)
def test_every_way_to_fail_has_its_status(
    tmp_path: Path, method: str, path: str, answer: Any, end: Exit
) -> None:
    def prepare(api: ScriptedApi) -> None:
        def only_the_watch(asked: Asked) -> Any:
            return answer if "watch" in asked.query else listed()

        api.on(method, path, only_the_watch if isinstance(answer, Stream) else answer)

    assert running(tmp_path, prepare, by_itself) is end


def test_without_a_kubeconfig_there_is_nothing_to_do(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert running(tmp_path, nothing, by_itself, kubeconfig=missing) is Exit.NO_ACCESS


def test_a_port_that_is_taken_is_a_usage_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert running(tmp_path, nothing, by_itself, health_port=port) is Exit.USAGE


def test_a_lease_outside_of_a_cluster_needs_a_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert running(tmp_path, nothing, by_itself, lease_namespace="") is Exit.USAGE
