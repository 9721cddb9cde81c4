"""The HTTP API of Prometheus, played by a server that says what a test wants."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dfastllm_operator.analysis import (
    Pod,
    Prometheus,
    Sample,
    Side,
    SourceFailed,
    Window,
    opening,
    replay,
)
from dfastllm_operator.analysis.exposition import points
from dfastllm_operator.analysis.series import Flaw
from support.counted import CountedServer

AT = 1_700_000_000.0
TARGETS = {Side.STABLE: [Pod("stable-0")], Side.CANDIDATE: [Pod("cand.1")]}
Series = list[dict[str, Any]]


class Api:
    """Answers instant queries; `asked` are the forms that were sent."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.values: Series = []
        self.times: Series = []
        self.raw: tuple[int, bytes] | None = None
        self.hangs = False
        self.headers: dict[str, str] = {}

    def exports(self, pod: str, server: CountedServer, *, at: float = AT, **labels: str) -> None:
        said = {"pod": pod, "namespace": "ns", "job": "pods", "instance": pod, **labels}
        for name, own, value in points(server.page()):
            self.values.append(entry({**own, **said, "__name__": name}, value))
        self.times.append(entry(said, at))

    async def answer(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.asked.append(form)
        self.headers = dict(request.headers)
        if self.hangs:
            await asyncio.sleep(60)
        if self.raw is not None:
            return web.Response(status=self.raw[0], body=self.raw[1])
        found = self.times if form["query"].startswith("timestamp(") else self.values
        return web.json_response(vector(found))


def entry(labels: dict[str, str], value: float) -> dict[str, Any]:
    return {"metric": labels, "value": [AT, str(value)]}


def vector(result: Series) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def asked(api: Api, **settings: Any) -> Sample:
    async def ask() -> Sample:
        app = web.Application()
        app.router.add_post("/prefix/api/v1/query", api.answer)
        async with TestServer(app) as server:
            source = Prometheus(
                str(server.make_url("/prefix/")), "ns", **{"timeout_s": 30.0, **settings}
            )
            return await source.sample(TARGETS, AT)

    return asyncio.run(ask())


def problem(api: Api) -> tuple[Flaw, str]:
    found = asked(api).looks[Side.CANDIDATE]
    assert not found.readings
    return found.unusable["cand.1"].flaw, found.unusable["cand.1"].message


def test_both_sides_are_asked_for_at_once_and_for_an_exact_moment() -> None:
    api, stable, candidate = Api(), CountedServer(), CountedServer()
    stable.answer(3)
    api.exports("stable-0", stable)
    api.exports("cand.1", candidate, at=AT - 15)
    found = asked(api, matchers={"job": "pods"}, headers={"Authorization": "Bearer x"})
    assert found.at == AT
    assert found.looks[Side.STABLE].readings == {"stable-0": replace(stable.reading(), at=AT)}
    scraped = replace(candidate.reading(), at=AT - 15)
    assert found.looks[Side.CANDIDATE].readings == {"cand.1": scraped}
    assert [form["time"] for form in api.asked] == ["1700000000.000"] * 2
    chosen = r'job="pods",namespace="ns",pod=~"cand\\.1|stable-0"'
    assert all(chosen in form["query"] for form in api.asked)
    assert api.headers["Authorization"] == "Bearer x"


def test_an_empty_answer_is_no_data_that_says_what_to_look_for() -> None:
    flaw, message = problem(Api())
    assert flaw is Flaw.NO_DATA
    assert "with the labels namespace and pod" in message


def test_another_pods_data_are_not_ours() -> None:
    api = Api()
    api.exports("stable-0", CountedServer())
    found = asked(api)
    assert set(found.looks[Side.STABLE].readings) == {"stable-0"}
    assert found.looks[Side.CANDIDATE].unusable["cand.1"].flaw is Flaw.NO_DATA


@pytest.mark.parametrize(
    ("at", "flaw"), [(AT - 89, None), (AT - 91, Flaw.STALE), (float("nan"), Flaw.STALE)]
)
def test_a_value_that_was_scraped_long_ago_is_stale(at: float, flaw: Flaw | None) -> None:
    api = Api()
    api.exports("cand.1", CountedServer(), at=at)
    found = asked(api).looks[Side.CANDIDATE]
    assert [p.flaw for p in found.unusable.values()] == ([flaw] if flaw else [])


def test_a_value_without_a_time_is_stale() -> None:
    api = Api()
    api.exports("cand.1", CountedServer())
    api.times.clear()
    assert problem(api)[0] is Flaw.STALE


def test_not_a_number_is_told_apart() -> None:
    api = Api()
    api.exports("cand.1", CountedServer())
    api.values[0]["value"][1] = "NaN"
    assert problem(api)[0] is Flaw.NOT_A_NUMBER


@pytest.mark.parametrize("label", ["outcome", "le"])
def test_a_label_that_was_dropped_is_told_apart(label: str) -> None:
    api = Api()
    api.exports("cand.1", CountedServer())
    for series in api.values:
        series["metric"].pop(label, None)
    flaw, message = problem(api)
    assert flaw is Flaw.MISSING_LABEL
    assert f"has no label {label}" in message


def test_a_pod_that_two_jobs_scrape_is_not_counted_twice() -> None:
    api, server = Api(), CountedServer()
    api.exports("cand.1", server)
    api.exports("cand.1", server, job="annotated")
    flaw, message = problem(api)
    assert flaw is Flaw.MALFORMED
    assert "more than once (job annotated, pods)" in message
    assert "two scrape jobs read the same pods, keep one of them" in message


REFUSED = {"status": "error", "errorType": "bad_data", "error": "parse error"}
MATRIX = {"status": "success", "data": {"resultType": "matrix", "result": []}}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, json.dumps(REFUSED).encode(), r"refuses the query \(HTTP 400\): parse error"),
        (503, json.dumps({**REFUSED, "error": "overloaded"}).encode(), "overloaded"),
        (502, b"<html>bad gateway</html>", "HTTP 502"),
        (401, b"", "HTTP 401"),
        (302, b"", "HTTP 302"),
        (200, b"not json", "no answer of Prometheus"),
        (200, b"[]", "no answer of Prometheus"),
        (200, b"{}", "no answer of Prometheus"),
        (200, json.dumps(MATRIX).encode(), "matrix instead of a vector"),
        (200, b" " * 2**21, "more than 1048576 bytes"),
    ],
)
def test_what_is_no_answer_is_an_error(status: int, body: bytes, said: str) -> None:
    api = Api()
    api.raw = (status, body)
    with pytest.raises(SourceFailed, match=said):
        asked(api, most_bytes=2**20)


def test_silence_is_an_error_in_time() -> None:
    api = Api()
    api.hangs = True
    with pytest.raises(SourceFailed, match="no answer in time"):
        asked(api, timeout_s=0.2)


def test_a_prometheus_that_is_away_is_an_error() -> None:
    with pytest.raises(SourceFailed, match=r"http://127\.0\.0\.1:1/api/v1/query: "):
        asyncio.run(Prometheus("http://127.0.0.1:1", "ns").sample(TARGETS, AT))


def test_without_pods_nobody_is_asked() -> None:
    found = asyncio.run(Prometheus("http://127.0.0.1:1", "ns").sample({}, AT))
    assert found.looks[Side.CANDIDATE].readings == {}


class Memory:
    """A source that knows every moment, and no pods."""

    remembers = True

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def sample(self, targets: object, at: float) -> Sample:
        self.asked.append(at)
        return Sample(at, {})


def replayed(source: Memory, window: Window, now: float) -> Window:
    return asyncio.run(replay(source, TARGETS, window, now))


def test_a_lost_window_is_filled_again_from_its_opening() -> None:
    source = Memory()
    window = replayed(source, opening(100, 20), 300)
    assert source.asked == [120, 180, 240, 300]
    assert (window.began_at, window.at) == (120, 300)


def test_a_window_that_has_just_opened_is_looked_at_once() -> None:
    source = Memory()
    window = replayed(source, opening(100, 20), 120.2)
    assert source.asked == [120.2]
    assert (window.began_at, window.at) == (120.2, 120.2)


def test_a_long_window_is_filled_with_few_looks() -> None:
    source = Memory()
    replayed(source, opening(0, 0), 86_400)
    assert len(source.asked) <= 61
    assert source.asked[-1] == 86_400


@pytest.mark.parametrize(("remembers", "now"), [(False, 300.0), (True, 110.0)])
def test_nothing_is_filled_without_a_memory_or_before_the_opening(
    remembers: bool, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Memory, "remembers", remembers)
    source, window = Memory(), opening(100, 20)
    assert replayed(source, window, now) is window
    assert source.asked == []
