import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Key
from dfastllm_operator.discovery import Discovery
from dfastllm_operator.errors import Busy, LeaseLost
from dfastllm_operator.kinds import HTTP_ROUTE, WATCHED
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.settings import Settings
from dfastllm_operator.store import Store
from dfastllm_operator.work import Work
from support.scripted_api import (
    Asked,
    ScriptedApi,
    Status,
    Stream,
    group,
    listed,
    made,
    resources,
    run,
    serve_services,
    until,
)

SERVICES = "/apis/dfastllm.io/v1alpha1/namespaces/ns/dfastllmservices"
CONFIG_MAPS = "/api/v1/namespaces/ns/configmaps"
A = Key("ns", "a")
SETTINGS: dict[str, Any] = {
    "namespaces": "ns",
    "shutdown_s": 5,
    "backoff_base_s": 0.01,
    "backoff_cap_s": 0.02,
    "rest_s": 0,
    "discovery_s": 0.05,
}


class Recorder:
    """A reconciler that does what it is told."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.error: Exception | None = None

    async def reconcile(self, key: Key) -> float | None:
        self.keys.append(key)
        await self.hold.wait()
        if self.error is not None:
            raise self.error
        return None


class Fixture:
    def __init__(self, api: ScriptedApi, cluster: Cluster, **more: Any) -> None:
        self.api = api
        self.store = Store()
        self.recorder = Recorder()
        self.metrics = Metrics()
        self.stop = asyncio.Event()
        self.discovery = Discovery(cluster, every_s=0.05)
        settings = Settings(**{**SETTINGS, **more})
        access = api.login()
        self.work = Work(
            settings,
            access,
            cluster,
            self.discovery,
            self.metrics,
            self.store,
            self.recorder,
        )
        self.renewing: Callable[[], Awaitable[None]] = asyncio.Event().wait  # type: ignore[assignment]

    def there(self, path: str, *objects: Any) -> None:
        def answer(asked: Asked) -> Any:
            return Stream(end="silent") if "watch" in asked.query else listed(*objects)

        self.api.on("GET", path, answer)

    def count(self, name: str, **labels: str) -> float:
        found = self.metrics.registry.get_sample_value(f"dfastllm_operator_{name}", labels)
        return found or 0.0


Body = Callable[[Fixture, "asyncio.Task[None]"], Awaitable[None]]


def working(
    folder: Path, body: Body, prepare: Callable[[Fixture], None] = lambda _: None, **more: Any
) -> None:
    async def test() -> None:
        async with ScriptedApi(folder) as api:
            serve_services(api)
            cluster = Cluster(api.login())
            f = Fixture(api, cluster, **more)
            api.otherwise = lambda a: Stream(end="silent") if "watch" in a.query else listed()
            f.there(SERVICES, made("a", 5))
            prepare(f)
            await f.discovery.look()

            async def renewing() -> None:
                await f.renewing()

            task = asyncio.create_task(f.work.run(f.stop, renewing()))
            try:
                await body(f, task)
            finally:
                f.recorder.hold.set()
                f.stop.set()
                await asyncio.gather(task, return_exceptions=True)
                await cluster.close()

    run(test(), 60.0)


def test_every_service_is_reconciled_once_at_the_start_and_not_by_echoes(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(lambda: f.recorder.keys)
        await until(lambda: [a for a in f.api.requests("GET", SERVICES) if "watch" in a.query])
        await asyncio.sleep(0.2)
        assert f.recorder.keys == [A]
        assert f.count("reconcile_duration_seconds_count", result="ok") == 1
        assert list(f.work.problems()) == []

    working(tmp_path, body)


def test_nothing_is_reconciled_before_every_kind_was_listed(tmp_path: Path) -> None:
    def prepare(f: Fixture) -> None:
        f.api.on("GET", CONFIG_MAPS, Status(503))

    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(lambda: len(f.api.requests("GET", CONFIG_MAPS)) > 1)
        await asyncio.sleep(0.1)
        assert f.recorder.keys == []
        f.there(CONFIG_MAPS)
        await until(lambda: f.recorder.keys)

    working(tmp_path, body, prepare)


def test_services_that_cannot_be_listed_are_asked_for_again(tmp_path: Path) -> None:
    def prepare(f: Fixture) -> None:
        f.api.on("GET", SERVICES, Status(503))

    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(lambda: len(f.api.requests("GET", SERVICES)) > 2)
        f.there(SERVICES, made("a", 5))
        await until(lambda: f.recorder.keys == [A])

    working(tmp_path, body, prepare)


def test_a_failure_is_counted_and_tried_again(tmp_path: Path) -> None:
    def prepare(f: Fixture) -> None:
        f.recorder.error = Busy("later", status=503)

    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(lambda: len(f.recorder.keys) > 2)
        assert f.count("reconcile_errors_total", reason="Busy") >= 2
        assert f.count("reconcile_duration_seconds_count", result="error") >= 2
        f.recorder.error = None
        await until(lambda: f.count("reconcile_duration_seconds_count", result="ok") == 1)

    working(tmp_path, body, prepare)


def test_a_kind_that_comes_later_is_watched_and_every_service_looked_at(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(lambda: f.recorder.keys)
        assert HTTP_ROUTE not in f.discovery.served(WATCHED)
        gateway = "gateway.networking.k8s.io"
        f.api.on("GET", f"/apis/{gateway}/v1", resources("httproutes", "HTTPRoute"))
        groups = [group("dfastllm.io", "v1alpha1"), group(gateway, "v1")]
        f.api.on("GET", "/apis", {"groups": groups})
        await until(lambda: len(f.recorder.keys) == 2)
        routes = f"/apis/{gateway}/v1/namespaces/ns/httproutes"
        await until(lambda: f.api.requests("GET", routes))

    working(tmp_path, body)


def test_everything_is_looked_at_again_from_time_to_time(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(lambda: len(f.recorder.keys) >= 3)

    working(tmp_path, body, resync_s=0.05)


def test_stopping_lets_a_reconcile_finish(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        f.recorder.hold.clear()
        await until(lambda: f.recorder.keys)
        f.stop.set()
        await asyncio.sleep(0.1)
        assert not task.done()
        f.recorder.hold.set()
        await task
        assert f.count("reconcile_duration_seconds_count", result="ok") == 1

    working(tmp_path, body)


def test_stopping_does_not_wait_for_ever(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        f.recorder.hold.clear()
        await until(lambda: f.recorder.keys)
        f.stop.set()
        await task
        assert f.count("reconcile_duration_seconds_count", result="ok") == 0

    working(tmp_path, body, shutdown_s=0.1)


def test_a_lost_lease_breaks_off_what_is_under_way(tmp_path: Path) -> None:
    lost = asyncio.Event()

    def prepare(f: Fixture) -> None:
        async def renewing() -> None:
            await lost.wait()
            raise LeaseLost("another leads")

        f.renewing = renewing

    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        f.recorder.hold.clear()
        await until(lambda: f.recorder.keys)
        lost.set()
        with pytest.raises(LeaseLost):
            await task
        assert f.count("reconcile_duration_seconds_count", result="ok") == 0

    working(tmp_path, body, prepare)


def test_a_reconcile_that_finds_the_lease_lost_ends_the_work(tmp_path: Path) -> None:
    def prepare(f: Fixture) -> None:
        f.recorder.error = LeaseLost("another leads")

    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        with pytest.raises(LeaseLost):
            await task

    working(tmp_path, body, prepare)


def test_a_stuck_queue_is_a_problem(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        f.recorder.hold.clear()
        await until(lambda: f.recorder.keys)
        await until(lambda: any("the queue has been stuck" in p for p in f.work.problems()))
        f.recorder.hold.set()
        await until(lambda: not list(f.work.problems()))

    working(tmp_path, body, queue_stuck_s=0.1)


def test_a_silent_watch_is_a_problem(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(
            lambda: any("watch of configmaps has been silent" in p for p in f.work.problems())
        )

    working(tmp_path, body, watch_silent_s=0.3)


def test_a_watch_of_services_that_hears_nothing_is_a_problem_and_is_made_up_for(
    tmp_path: Path,
) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        await until(lambda: f.recorder.keys == [A])
        await until(lambda: [a for a in f.api.requests("GET", SERVICES) if "watch" in a.query])
        f.there(SERVICES, made("a", 5), made("b", 9))
        await until(lambda: Key("ns", "b") in f.recorder.keys)
        await until(lambda: any("has missed something" in p for p in f.work.problems()))

    working(tmp_path, body, watch_silent_s=2.0)


def test_what_is_read_rather_than_counted_is_measured_on_demand(tmp_path: Path) -> None:
    async def body(f: Fixture, task: "asyncio.Task[None]") -> None:
        f.recorder.hold.clear()
        await until(lambda: f.recorder.keys)
        f.work.measure()
        assert f.count("queue_depth") == 0

    working(tmp_path, body)
