import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Json, Key
from dfastllm_operator.faults import GONE
from dfastllm_operator.kinds import CONFIG_MAP, INFERENCE_SERVICE
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.names import SELECTOR, SERVICE_LABEL
from dfastllm_operator.store import Store
from dfastllm_operator.watch import Pace, Watch
from dfastllm_operator.watches import Watches
from dfastllm_operator.workqueue import Backoff
from support.scripted_api import (
    Asked,
    Hang,
    ScriptedApi,
    Status,
    Stream,
    listed,
    made,
    run,
    until,
)

PATH = "/api/v1/namespaces/ns/configmaps"
PACE = Pace(resync_s=60.0, stream_s=30.0, inactivity_s=5.0, backoff=Backoff(0.005, 0.02))
SILENT = Stream(end="silent")


def child(name: str, version: int, of: str = "a") -> Json:
    return made(name, version, labels={SERVICE_LABEL: of})


class Fixture:
    """A watch of config maps against a scripted API server."""

    def __init__(self, api: ScriptedApi, cluster: Cluster, pace: Pace) -> None:
        self.api = api
        self.store = Store()
        self.woken: list[Key] = []
        self.metrics = Metrics()
        self.now = 0.0
        self.watch = Watch(
            CONFIG_MAP,
            "ns",
            cluster,
            self.store,
            self.woken.append,
            pace=pace,
            metrics=self.metrics,
            clock=lambda: self.now,
        )

    def answers(self, lists: list[Any], streams: list[Any]) -> None:
        """Lists and streams share a path; the last of each stays."""

        def answer(asked: Asked) -> Any:
            queue = streams if "watch" in asked.query else lists
            return queue.pop(0) if len(queue) > 1 else queue[0]

        self.api.on("GET", PATH, answer)

    def versions_watched(self) -> list[str]:
        asked = self.api.requests("GET", PATH)
        return [a.query["resourceVersion"] for a in asked if "watch" in a.query]

    def lists(self) -> int:
        return len([a for a in self.api.requests("GET", PATH) if "watch" not in a.query])

    def restarts(self) -> float:
        name = "dfastllm_operator_watch_restarts_total"
        return self.metrics.registry.get_sample_value(name, {"kind": "ConfigMap"}) or 0.0


@asynccontextmanager
async def fixture(folder: Path, pace: Pace = PACE) -> AsyncIterator[Fixture]:
    async with ScriptedApi(folder) as api:
        cluster = Cluster(api.login())
        try:
            yield Fixture(api, cluster, pace)
        finally:
            await cluster.close()


def watching(folder: Path, body: Callable[[Fixture], Any], pace: Pace = PACE) -> None:
    async def test() -> None:
        async with fixture(folder, pace) as f:
            await body(f)

    run(test())


async def while_running(f: Fixture, condition: Callable[[], object]) -> None:
    task = asyncio.create_task(f.watch.run())
    try:
        await until(lambda: condition() or task.done())
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_list_and_its_changes_fill_the_store_and_wake_services(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        changes = (
            ("ADDED", child("two", 12, of="b")),
            ("BOOKMARK", {"metadata": {"resourceVersion": "13"}}),
            ("DELETED", child("one", 14)),
        )
        f.answers([listed(child("one", 10), version="11")], [Stream(changes), SILENT])
        await while_running(f, lambda: len(f.versions_watched()) == 2)
        assert f.woken == [Key("ns", "a"), Key("ns", "b"), Key("ns", "a")]
        assert f.store.children(Key("ns", "a")) == []
        assert [s.name for s in f.store.children(Key("ns", "b"))] == ["two"]
        assert f.versions_watched() == ["11", "14"]
        assert all(a.query["labelSelector"] == SELECTOR for a in f.api.requests("GET", PATH))
        assert f.watch.synced.is_set()
        assert (f.restarts(), f.watch.trouble) == (0.0, "")

    watching(tmp_path, body)


def test_a_cut_stream_goes_on_where_it_was_without_a_new_list(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        cut = Stream((("ADDED", child("one", 12)),), end="cut")
        f.answers([listed(version="11")], [cut, Status(503), SILENT])
        await while_running(f, lambda: len(f.versions_watched()) == 3)
        assert f.versions_watched() == ["11", "12", "12"]
        assert f.lists() == 1
        assert f.restarts() == 2

    watching(tmp_path, body)


def test_a_version_that_is_too_old_makes_a_new_list(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        gone = Stream((("ERROR", {"code": GONE, "message": "too old"}),))
        lists = [listed(child("one", 10), version="11"), listed(version="99")]
        f.answers(lists, [gone, SILENT])
        await while_running(f, lambda: len(f.versions_watched()) == 2)
        assert f.versions_watched() == ["11", "99"]
        assert f.store.children(Key("ns", "a")) == []

    watching(tmp_path, body)


def test_everything_is_listed_anew_from_time_to_time(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.answers([listed(version="1"), listed(version="2")], [Stream(), SILENT])
        f.now = 10.0

        def past() -> bool:
            f.now += 100.0
            return f.lists() == 2

        await while_running(f, past)
        first = next(a for a in f.api.asked if "watch" in a.query)
        assert int(first.query["timeoutSeconds"]) <= 30

    watching(tmp_path, body)


def test_a_silent_stream_is_opened_anew_and_stays_silent_in_the_books(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.answers([listed(version="11")], [SILENT])

        def reopened() -> bool:
            f.now += 1.0
            return len(f.versions_watched()) >= 3

        await while_running(f, reopened)
        assert f.restarts() >= 2
        assert f.watch.silent_s() > 1.0

    pace = Pace(resync_s=1e9, stream_s=30.0, inactivity_s=0.05, backoff=PACE.backoff)
    watching(tmp_path, body, pace)


@pytest.mark.parametrize("life", [Stream(), Status(503), Stream(end="cut")])
def test_an_end_or_an_error_is_a_sign_of_life(tmp_path: Path, life: Stream | Status) -> None:
    async def body(f: Fixture) -> None:
        f.answers([listed(version="11")], [life, SILENT])

        def second() -> bool:
            f.now += 1.0
            return len(f.versions_watched()) == 2

        await while_running(f, second)
        assert f.watch.silent_s() < f.now - 1.0

    watching(tmp_path, body)


def test_streams_that_end_at_once_are_no_hot_loop(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.answers([listed(version="11")], [Stream()])
        task = asyncio.create_task(f.watch.run())
        await asyncio.sleep(0.3)
        task.cancel()
        assert len(f.versions_watched()) < 10

    watching(tmp_path, body, Pace(backoff=Backoff(0.1, 0.1)))


@pytest.mark.parametrize("code", [403, 404])
def test_a_kind_that_cannot_be_listed_holds_up_nobody(tmp_path: Path, code: int) -> None:
    async def body(f: Fixture) -> None:
        f.answers([Status(code, "no"), Status(code, "no"), listed()], [SILENT])
        await while_running(f, f.watch.synced.is_set)
        assert f.watch.trouble == "no"
        await while_running(f, lambda: f.lists() == 3 and not f.watch.trouble)

    watching(tmp_path, body)


def test_an_unreachable_server_is_a_trouble_and_no_silence(tmp_path: Path) -> None:
    async def body(f: Fixture) -> None:
        f.answers([Status(503, "down")], [SILENT])
        f.now = 500.0
        await while_running(f, lambda: f.watch.trouble)
        assert not f.watch.synced.is_set()
        assert f.watch.silent_s() == 0.0

    watching(tmp_path, body)


def several(folder: Path, body: Callable[[ScriptedApi, Watches, Store, list[Key]], Any]) -> None:
    async def test() -> None:
        async with ScriptedApi(folder) as api:
            cluster = Cluster(api.login())
            store, woken = Store(), list[Key]()

            def make(kind: Any, scope: str | None) -> Watch:
                return Watch(kind, scope, cluster, store, woken.append, pace=PACE)

            watches = Watches(("ns", "other"), store, woken.append, make)
            try:
                await body(api, watches, store, woken)
            finally:
                await watches.close()
                await cluster.close()

    run(test())


def test_each_kind_is_watched_in_each_namespace_until_it_is_served_no_more(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, watches: Watches, store: Store, woken: list[Key]) -> None:
        isvc = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"

        def answer(asked: Asked) -> Any:
            return SILENT if "watch" in asked.query else listed(child("i", 5))

        for scope in ("ns", "other"):
            api.on("GET", isvc.format(scope), answer)
            api.on("GET", f"/api/v1/namespaces/{scope}/configmaps", answer)
        watches.serve([CONFIG_MAP, INFERENCE_SERVICE])
        await watches.synced()
        assert {a.path for a in api.asked} >= {isvc.format("ns"), isvc.format("other")}
        assert len(store.children(Key("ns", "a"))) == 2
        woken.clear()
        watches.serve([CONFIG_MAP])
        assert [s.kind for s in store.children(Key("ns", "a"))] == [CONFIG_MAP]
        assert woken == [Key("ns", "a")]
        assert watches.silent(3600.0) == []
        assert len(watches.silent(-1.0)) == 2
        assert not watches.failed.done()

    several(tmp_path, body)


def test_a_list_that_hangs_keeps_the_rest_waiting(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, watches: Watches, store: Store, woken: list[Key]) -> None:
        api.on("GET", "/api/v1/namespaces/ns/configmaps", Hang())
        watches.serve([CONFIG_MAP])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watches.synced(), 0.1)

    several(tmp_path, body)


def test_a_watch_that_breaks_is_noticed(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, watches: Watches, store: Store, woken: list[Key]) -> None:
        api.on("GET", "/api/v1/namespaces/ns/configmaps", listed({"no": "metadata"}))
        watches.serve([CONFIG_MAP])
        with pytest.raises(KeyError):
            await watches.failed

    several(tmp_path, body)
