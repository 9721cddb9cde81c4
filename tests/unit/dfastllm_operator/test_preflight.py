import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.discovery import Discovery
from dfastllm_operator.errors import Busy
from dfastllm_operator.preflight import NotAllowed, NotInstalled, Preflight
from support.scripted_api import Asked, ScriptedApi, Status, made, run, until

CRD = "/apis/dfastllm.io/v1alpha1"
LEASE = ("home", "dfastllm-operator")
LEASE_PATH = "/apis/coordination.k8s.io/v1/namespaces/home/leases/dfastllm-operator"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Fixture:
    def __init__(self, api: ScriptedApi, cluster: Cluster) -> None:
        self.api = api
        self.denied: set[tuple[str, str]] = set()
        discovery = Discovery(cluster)
        self.preflight = Preflight(
            cluster, discovery, ["ns"], LEASE, patience_s=0.0, every_s=0.005, retry_s=0.005
        )
        api.on("GET", LEASE_PATH, made(LEASE[1]))
        api.on("GET", CRD, {"resources": [{"name": "dfastllmservices"}]})
        api.on("GET", "/apis", {"groups": []})
        api.on("POST", REVIEW, self._review)

    def _review(self, asked: Asked) -> dict[str, Any]:
        wanted = asked.body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
        if wanted.get("name"):
            resource += f" {wanted['name']}"
        return {"status": {"allowed": (wanted["verb"], resource) not in self.denied}}

    def reviewed(self) -> set[str]:
        asked = self.api.requests("POST", REVIEW)
        return {a.body["spec"]["resourceAttributes"]["resource"] for a in asked}


def flying(folder: Path, body: Callable[[Fixture], Awaitable[None]]) -> None:
    async def test() -> None:
        async with ScriptedApi(folder) as api:
            cluster = Cluster(api.login())
            try:
                await body(Fixture(api, cluster))
            finally:
                await cluster.close()

    run(test())


def test_all_is_well_when_crd_and_permissions_are_there(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        assert f.preflight.problem
        await f.preflight.first()
        assert f.preflight.problem == ""
        assert {"dfastllmservices", "configmaps", "secrets"} <= f.reviewed()
        assert "httproutes" not in f.reviewed(), "what is not served needs no permission"

    flying(tmp_path, body)


def test_a_missing_crd_is_named_with_what_to_do(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.api.on("GET", CRD, Status(404))
        with pytest.raises(NotInstalled, match="dfastllm-operator crd"):
            await f.preflight.first()

    flying(tmp_path, body)


@pytest.mark.parametrize("verb", [("list", "dfastllmservices"), ("watch", "dfastllmservices")])
def test_without_the_services_themselves_nothing_works(
    tmp_path: Path, verb: tuple[str, str]
) -> None:
    async def body(f: Fixture) -> None:
        f.denied = {verb, ("list", "pods")}
        with pytest.raises(NotAllowed, match=f"may not {verb[0]} dfastllmservices of .* in ns"):
            await f.preflight.first()

    flying(tmp_path, body)


@pytest.mark.parametrize("verb", ["get", "update"])
def test_without_its_lease_a_replica_can_never_lead(tmp_path: Path, verb: str) -> None:
    async def body(f: Fixture) -> None:
        f.denied = {(verb, f"leases {LEASE[1]}")}
        wanted = f"may not {verb} leases of coordination.k8s.io {LEASE[1]} in home"
        with pytest.raises(NotAllowed, match=wanted):
            await f.preflight.first()

    flying(tmp_path, body)


def test_a_lease_that_is_there_need_not_be_made(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.denied = {("create", "leases")}
        await f.preflight.first()
        f.api.on("GET", LEASE_PATH, Status(404))
        with pytest.raises(NotAllowed, match=r"may not create leases of .* in home"):
            await f.preflight.first()

    flying(tmp_path, body)


def test_without_another_permission_the_rest_works(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.denied = {("list", "pods"), ("create", "events")}
        await f.preflight.first()

    flying(tmp_path, body)


def test_a_server_that_stays_busy_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.api.on("GET", CRD, Status(503, "starting"))
        with pytest.raises(Busy, match="starting"):
            await f.preflight.first()
        assert f.preflight.problem == "starting"

    flying(tmp_path, body)


def test_readiness_follows_what_is_there(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        await f.preflight.first()
        task = asyncio.create_task(f.preflight.run())
        f.api.on("GET", CRD, Status(503, "down"))
        await until(lambda: f.preflight.problem == "down")
        f.api.on("GET", CRD, {"resources": []})
        await until(lambda: "install the CRD" in f.preflight.problem)
        f.api.on("GET", CRD, {"resources": [{"name": "dfastllmservices"}]})
        await until(lambda: not f.preflight.problem)
        task.cancel()

    flying(tmp_path, body)
