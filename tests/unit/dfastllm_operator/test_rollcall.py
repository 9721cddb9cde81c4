import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Key
from dfastllm_operator.kinds import SERVICE_RESOURCE
from dfastllm_operator.rollcall import RollCall
from dfastllm_operator.store import Store
from support.scripted_api import ScriptedApi, Status, listed, made, run, until

PATH = "/apis/dfastllm.io/v1alpha1/namespaces/ns/dfastllmservices"
A, B = Key("ns", "a"), Key("ns", "b")


class Fixture:
    def __init__(self, api: ScriptedApi, cluster: Cluster) -> None:
        self.api = api
        self.store = Store()
        self.woken: list[Key] = []
        self.now = 0.0
        self.roll_call = RollCall(
            cluster,
            self.store,
            self.woken.append,
            ["ns"],
            every_s=0.005,
            clock=lambda: self.now,
        )

    def there(self, *objects: Any, version: str = "50") -> None:
        self.api.on("GET", PATH, listed(*objects, version=version))


def calling(folder: Path, body: Callable[[Fixture], Awaitable[None]]) -> None:
    async def test() -> None:
        async with ScriptedApi(folder) as api:
            cluster = Cluster(api.login())
            try:
                await body(Fixture(api, cluster))
            finally:
                await cluster.close()

    run(test())


def test_what_kopf_tells_is_stored_and_wakes(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.roll_call.tell("", made("a", 3))
        f.roll_call.tell("MODIFIED", made("a", 4))
        f.roll_call.tell("MODIFIED", made("a", 4))
        assert f.woken == [A, A]
        f.roll_call.tell("DELETED", made("a", 5))
        assert f.woken == [A, A, A]
        assert f.store.keys() == []

    calling(tmp_path, body)


def test_the_first_roll_call_fills_the_store_without_kopf(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.there(made("a", 3) | {"spec": {"x": 1}}, made("b", 4))
        await f.roll_call.first()
        assert f.woken.sort() is None
        assert f.woken == [A, B]
        service = f.store.service(A)
        assert service is not None
        assert service["spec"] == {"x": 1}
        f.roll_call.tell("", made("a", 3))
        assert f.woken == [A, B], "kopf's own list is no news then"

    calling(tmp_path, body)


def test_a_roll_call_that_agrees_reads_names_only(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.roll_call.tell("", made("a", 3))
        f.there(made("a", 3))
        await f.roll_call.call()
        (asked,) = f.api.asked
        assert "PartialObjectMetadataList" in asked.headers["accept"]
        assert (f.woken, f.roll_call.deaf_s()) == ([A], 0.0)

    calling(tmp_path, body)


def test_what_kopf_missed_is_made_up_for_at_once(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.roll_call.tell("", made("a", 3))
        f.there(made("a", 7), made("b", 8))
        f.woken.clear()
        await f.roll_call.call()
        assert sorted(f.woken) == [A, B]
        assert f.store.version(SERVICE_RESOURCE, *A) == 7

    calling(tmp_path, body)


def test_kopf_is_deaf_from_the_first_time_it_missed_something_until_it_tells(
    tmp_path: Path,
) -> None:
    async def body(f: Fixture) -> None:
        f.there(made("a", 7))
        f.now = 100.0
        await f.roll_call.call()
        f.now = 130.0
        await f.roll_call.call()
        assert f.roll_call.deaf_s() == 30.0
        assert f.woken == [A], "it is made up for once"
        f.roll_call.tell("ADDED", made("a", 7))
        await f.roll_call.call()
        assert f.roll_call.deaf_s() == 0.0

    calling(tmp_path, body)


def test_a_service_that_is_gone_is_forgotten_if_the_list_is_newer(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.roll_call.tell("", made("a", 40))
        f.roll_call.tell("", made("b", 60))
        f.roll_call.tell("", made("c", 1, namespace="other"))
        f.there(version="50")
        f.woken.clear()
        await f.roll_call.call()
        assert f.woken == [A]
        assert f.store.keys() == [B, Key("other", "c")]

    calling(tmp_path, body)


def test_kopf_is_not_to_blame_when_the_server_cannot_be_asked(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.there(made("a", 7))
        await f.roll_call.call()
        f.now = 500.0
        assert f.roll_call.deaf_s() == 500.0
        f.api.on("GET", PATH, Status(503))
        task = asyncio.create_task(f.roll_call.run())
        await until(lambda: f.roll_call.deaf_s() == 0.0)
        f.there(made("a", 9))
        await until(lambda: f.store.version(SERVICE_RESOURCE, *A) == 9)
        task.cancel()

    calling(tmp_path, body)
