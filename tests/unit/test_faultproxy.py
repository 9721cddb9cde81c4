"""The proxy does to requests what a test asked for, and nothing else."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from support.apicall import Call, of_request
from support.faultproxy import FaultProxy
from support.faults import (
    Answer,
    Coalesce,
    Delay,
    Drop,
    Duplicate,
    ErrorEvent,
    LoseAnswer,
    StaleList,
)
from support.loopthread import LoopThread
from support.process import until

MAPS = "/api/v1/namespaces/demo/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/demo/leases"


class ApiServer:
    """As little of one as the proxy can tell from a real one."""

    def __init__(self) -> None:
        self._thread = LoopThread("apiserver")
        self.stored: dict[str, Any] = {}
        self.headers: list[dict[str, str]] = []
        self._watchers: list[asyncio.Queue[dict[str, Any] | None]] = []

    def start(self) -> None:
        self._thread.start()
        self.url = self._thread.run(self._start())

    def stop(self) -> None:
        self._thread.run(self._stop())
        self._thread.stop()

    def emit(self, *events: dict[str, Any] | None) -> None:
        async def put() -> None:
            for queue in self._watchers:
                for event in events:
                    queue.put_nowait(event)

        self._thread.run(put())

    async def _start(self) -> str:
        app = web.Application()
        for base in (MAPS, LEASES):
            app.router.add_get(base, self._list)
            app.router.add_patch(base + "/{name}", self._patch)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        for queue in self._watchers:
            queue.put_nowait(None)
        await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        if "watch" not in request.query:
            return web.json_response({"items": list(self.stored.values())})
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._watchers.append(queue)
        while (event := await queue.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    async def _patch(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        made = name not in self.stored
        self.stored[name] = await request.json()
        return web.json_response(self.stored[name], status=201 if made else 200)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    server = ApiServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def proxy(server: ApiServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=20) as client:
        yield client


def _event(kind: str, uid: str, value: int) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"uid": uid}, "value": value}}


class Watch:
    """The client's end; use as a context."""

    def __init__(self, client: httpx.Client, proxy: FaultProxy, server: ApiServer) -> None:
        self._stream = client.stream("GET", MAPS, params={"watch": "true"})
        self._proxy = proxy
        self._server = server

    def __enter__(self) -> "Watch":
        watchers = len(self._server._watchers)
        self._lines = self._stream.__enter__().iter_lines()
        until(lambda: len(self._server._watchers) > watchers, "watch open")
        return self

    def __exit__(self, *error: Any) -> None:
        self._proxy.close_watches()
        self._stream.__exit__(*error)

    def take(self, count: int) -> list[tuple[str, int]]:
        events = [json.loads(next(self._lines)) for _ in range(count)]
        return [(event["type"], event["object"].get("value")) for event in events]

    def ended(self) -> bool:
        return next(self._lines, None) is None


@pytest.fixture
def watch(client: httpx.Client, proxy: FaultProxy, server: ApiServer) -> Watch:
    return Watch(client, proxy, server)


@pytest.mark.parametrize(
    ("method", "path", "query", "call"),
    [
        ("GET", "/readyz", {}, Call("get")),
        ("GET", "/apis/apps/v1", {}, Call("get", "apps")),
        ("GET", MAPS, {}, Call("list", "", "configmaps", "", "demo")),
        ("GET", MAPS, {"watch": "true"}, Call("watch", "", "configmaps", "", "demo")),
        ("GET", f"{MAPS}/x", {}, Call("get", "", "configmaps", "", "demo", "x")),
        ("DELETE", MAPS, {}, Call("deletecollection", "", "configmaps", "", "demo")),
        ("DELETE", f"{MAPS}/x", {}, Call("delete", "", "configmaps", "", "demo", "x")),
        ("POST", "/api/v1/namespaces", {}, Call("create", "", "namespaces")),
        ("GET", "/api/v1/namespaces/demo", {}, Call("get", "", "namespaces", "", "", "demo")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            {},
            Call("patch", "apps", "deployments", "scale", "a", "b"),
        ),
        (
            "PUT",
            f"{LEASES}/x",
            {},
            Call("update", "coordination.k8s.io", "leases", "", "demo", "x"),
        ),
    ],
)
def test_requests_are_recorded_in_the_terms_of_rbac(
    method: str, path: str, query: dict[str, str], call: Call
) -> None:
    assert of_request(method, path, query) == call


def test_passes_requests_on_with_their_authorization(
    client: httpx.Client, server: ApiServer
) -> None:
    answer = client.get(MAPS, headers={"Authorization": "Bearer token"})
    assert answer.json() == {"items": []}
    assert server.headers[0]["Authorization"] == "Bearer token"


def test_counts_writes_without_leases(client: httpx.Client, proxy: FaultProxy) -> None:
    client.get(MAPS)
    client.patch(f"{LEASES}/x", json={})
    client.patch(f"{MAPS}/x", json={})
    assert [call.name for call in proxy.ledger.writes] == ["x"]
    assert proxy.ledger.writes[0].resource == "configmaps"


def test_a_patch_that_creates_takes_the_permission_to_create(
    client: httpx.Client, proxy: FaultProxy
) -> None:
    client.patch(f"{MAPS}/x", json={})
    client.patch(f"{MAPS}/x", json={})
    permissions = [entry.permissions for entry in proxy.ledger.calls]
    patch, create = ("", "configmaps", "patch"), ("", "configmaps", "create")
    assert permissions == [{patch, create}, {patch}]
    assert proxy.ledger.permissions == {patch, create}


@pytest.mark.parametrize("status", [401, 403, 409, 410, 429, 500, 503])
def test_answers_in_the_place_of_the_server(
    status: int, client: httpx.Client, proxy: FaultProxy, server: ApiServer
) -> None:
    proxy.fault(Answer(status, retry_after_s=2), writes=True, times=1)
    answer = client.patch(f"{MAPS}/x", json={})
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert answer.headers["Retry-After"] == "2"
    assert not server.stored
    assert not proxy.ledger.writes
    assert client.patch(f"{MAPS}/x", json={}).status_code == 201


def test_hits_the_nth_request_that_matches(client: httpx.Client, proxy: FaultProxy) -> None:
    rule = proxy.fault(Answer(500), verbs=("patch",), path=r"/configmaps/", skip=1, times=1)
    codes = [client.patch(f"{MAPS}/x", json={}).status_code for _ in range(3)]
    client.get(MAPS)
    assert codes == [201, 500, 200]
    assert (rule.seen, rule.hits) == (3, 1)
    proxy.remove(rule)


def test_drops_a_request_before_the_server_hears_of_it(
    client: httpx.Client, proxy: FaultProxy, server: ApiServer
) -> None:
    proxy.fault(Drop(), writes=True, times=1)
    with pytest.raises(httpx.TransportError):
        client.patch(f"{MAPS}/x", json={})
    assert not server.stored


def test_loses_the_answer_to_a_write_that_was_carried_out(
    client: httpx.Client, proxy: FaultProxy, server: ApiServer
) -> None:
    proxy.fault(LoseAnswer(), writes=True, times=1)
    with pytest.raises(httpx.TransportError):
        client.patch(f"{MAPS}/x", json={})
    assert "x" in server.stored
    assert len(proxy.ledger.writes) == 1


def test_delays_a_request(client: httpx.Client, proxy: FaultProxy) -> None:
    proxy.fault(Delay(5), times=1)
    with pytest.raises(httpx.ReadTimeout):
        client.get(MAPS, timeout=0.1)
    assert client.get(MAPS).status_code == 200


def test_calls_back_after_the_kth_write_before_the_client_hears_of_it(
    client: httpx.Client, proxy: FaultProxy, server: ApiServer
) -> None:
    told: list[tuple[str, list[str]]] = []
    client.patch(f"{MAPS}/w", json={})
    proxy.ledger.after_write(2, lambda call: told.append((call.name, list(server.stored))))
    for name in "xyz":
        client.patch(f"{MAPS}/{name}", json={})
    assert told == [("y", ["w", "x", "y"])]


def test_during_an_outage_nothing_is_answered(client: httpx.Client, proxy: FaultProxy) -> None:
    with proxy.outage(), pytest.raises(httpx.TransportError):
        client.get(MAPS)
    assert client.get(MAPS).status_code == 200


def test_an_outage_cuts_open_watches(watch: Watch, proxy: FaultProxy, server: ApiServer) -> None:
    with watch:
        server.emit(_event("ADDED", "a", 1))
        assert watch.take(1) == [("ADDED", 1)]
        with proxy.outage(), pytest.raises(httpx.TransportError):
            watch.ended()


def test_a_list_can_be_answered_as_it_was(
    client: httpx.Client, proxy: FaultProxy, server: ApiServer
) -> None:
    client.get(MAPS)
    rule = proxy.fault(StaleList(), resource="configmaps")
    client.patch(f"{MAPS}/x", json={"a": 1})
    assert client.get(MAPS).json() == {"items": []}
    proxy.remove(rule)
    assert client.get(MAPS).json() == {"items": [{"a": 1}]}


def test_streams_a_watch_event_by_event(watch: Watch, proxy: FaultProxy, server: ApiServer) -> None:
    with watch:
        for value in range(3):
            server.emit(_event("ADDED", "a", value))
            assert watch.take(1) == [("ADDED", value)]
        assert [call.verb for call in proxy.open_watches] == ["watch"]
        server.emit(None)
        assert watch.ended()
    until(lambda: not proxy.open_watches)


def test_closes_watches(watch: Watch, proxy: FaultProxy, server: ApiServer) -> None:
    with watch:
        server.emit(_event("ADDED", "a", 1))
        watch.take(1)
        assert proxy.close_watches("secrets") == 0
        assert proxy.close_watches("configmaps") == 1
        assert watch.ended()


def test_a_silent_watch_stays_open_and_says_nothing(
    client: httpx.Client, proxy: FaultProxy, server: ApiServer
) -> None:
    asked = {"watch": "true"}
    limit = httpx.Timeout(20, read=0.2)
    with client.stream("GET", MAPS, params=asked, timeout=limit) as stream:
        lines = stream.iter_lines()
        until(lambda: proxy.open_watches)
        assert proxy.silence_watches() == 1
        server.emit(_event("ADDED", "a", 1), None)
        with pytest.raises(httpx.ReadTimeout):
            next(lines)


def test_a_watch_can_be_too_old_as_an_event(client: httpx.Client, proxy: FaultProxy) -> None:
    proxy.fault(ErrorEvent(), verbs=("watch",), times=1)
    with client.stream("GET", MAPS, params={"watch": "true"}) as stream:
        (line,) = stream.iter_lines()
    assert json.loads(line)["object"]["code"] == 410


def test_watch_events_can_come_twice(watch: Watch, proxy: FaultProxy, server: ApiServer) -> None:
    proxy.fault(Duplicate(), verbs=("watch",))
    with watch:
        server.emit(_event("ADDED", "a", 1))
        assert watch.take(2) == [("ADDED", 1), ("ADDED", 1)]


def test_watch_events_can_be_coalesced(watch: Watch, proxy: FaultProxy, server: ApiServer) -> None:
    proxy.fault(Coalesce(0.3), verbs=("watch",))
    with watch:
        server.emit(
            _event("ADDED", "a", 1),
            _event("ADDED", "b", 1),
            _event("MODIFIED", "a", 2),
            _event("DELETED", "b", 2),
            _event("MODIFIED", "a", 3),
        )
        assert watch.take(2) == [("DELETED", 2), ("ADDED", 3)]
