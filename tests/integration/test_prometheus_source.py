"""The `prometheus` source against a real Prometheus that scrapes two counting servers."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import unused_port

from dfastllm_operator.analysis import (
    Gate,
    MetricName,
    Plan,
    Pod,
    Prometheus,
    Sample,
    Side,
    SourceFailed,
    judge,
    opening,
    replay,
)
from dfastllm_operator.analysis.measure import finished
from dfastllm_operator.analysis.replay import JUST_NOW_S
from dfastllm_operator.analysis.series import Flaw
from dfastllm_operator.gates.measurement import Outcome
from e2e.prometheus import program
from support.counted import CountedServer
from support.loopthread import LoopThread
from support.process import until

TARGETS = {Side.STABLE: [Pod("stable-0")], Side.CANDIDATE: [Pod("candidate-0")]}
PLAN = Plan(gates=(Gate(MetricName.TOKENS_PER_FORWARD, max_regression=30),), min_samples=10)
INTERVAL_S = 0.2
WITHIN_S = 60.0


@dataclass
class Scraped:
    """Two servers, and the Prometheus that scrapes them; `down` are those that answer no more."""

    stable: CountedServer
    candidate: CountedServer
    url: str
    down: set[str]

    def source(self, **settings: Any) -> Prometheus:
        return Prometheus(self.url, "ns", **{"timeout_s": 30.0, **settings})

    def sample(self, at: float, **settings: Any) -> Sample:
        return asyncio.run(self.source(**settings).sample(TARGETS, at))

    def settled(self) -> float:
        """A moment at which Prometheus has what both servers say now."""

        def caught_up() -> float:
            at = time.time()
            looks = self.sample(at).looks
            wanted = {Side.STABLE: self.stable, Side.CANDIDATE: self.candidate}
            known = all(
                server.reading() in (replace(r, at=None) for r in looks[side].readings.values())
                for side, server in wanted.items()
            )
            return at if known else 0.0

        return float(until(caught_up, "Prometheus has scraped both", WITHIN_S, every_s=0.1))


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    installed = program()
    servers = {"stable-0": CountedServer(), "candidate-0": CountedServer()}
    down: set[str] = set()
    loop = LoopThread("pages")
    loop.start()
    runner, port = loop.run(_pages(servers, down))
    process, url = _prometheus(
        installed, tmp_path_factory.mktemp("prometheus"), port, list(servers)
    )
    try:
        until(lambda: _ready(url), "Prometheus is ready", WITHIN_S, every_s=0.1)
        found = Scraped(servers["stable-0"], servers["candidate-0"], url, down)
        found.settled()
        yield found
    finally:
        process.kill()
        process.wait()
        loop.run(runner.cleanup())
        loop.stop()


async def _pages(servers: dict[str, CountedServer], down: set[str]) -> tuple[web.AppRunner, int]:
    async def page(request: web.Request) -> web.Response:
        pod = request.match_info["pod"]
        if pod in down:
            raise web.HTTPServiceUnavailable
        return web.Response(body=servers[pod].page(), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/{pod}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, int(runner.addresses[0][1])


def _prometheus(
    installed: Path, folder: Path, port: int, pods: list[str]
) -> tuple[subprocess.Popen[bytes], str]:
    targets = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"__metrics_path__": f"/{pod}", "namespace": "ns", "pod": pod},
        }
        for pod in pods
    ]
    interval = f"{round(INTERVAL_S * 1000)}ms"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [{"job_name": "pods", "static_configs": targets}],
    }
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{unused_port()}"
    argv = [
        str(installed),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
    ]
    return subprocess.Popen(argv, stderr=subprocess.DEVNULL), f"http://{address}"


def _ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/-/ready").status_code == 200
    return False


def test_a_rollout_is_judged_by_what_prometheus_has(scraped: Scraped) -> None:
    began = scraped.settled()
    window = opening(began, 0).after(scraped.sample(began))
    scraped.stable.answer(30)
    scraped.candidate.answer(12, tokens=10)
    time.sleep(JUST_NOW_S)  # what opened later than this ago is not replayed
    ended = scraped.settled()
    window = window.after(scraped.sample(ended))
    assert finished(window.side(Side.CANDIDATE)) == 12
    report = judge(PLAN, window, weight=30)
    assert report.outcome is Outcome.FAIL
    assert report.message == ("tokensPerForward 1.00 is 75.0 % below stable's 4.00 (allowed: 30 %)")
    # An operator that starts now, without the window, comes to the same.
    again = asyncio.run(replay(scraped.source(), TARGETS, opening(began, 0), ended))
    assert again.sides == window.sides
    # And the past stays as it was.
    assert (
        scraped.sample(began)
        .looks[Side.CANDIDATE]
        .readings["candidate-0"]
        .counts[("dfastllm_generation_tokens_total", "")]
        == 0
    )


def test_a_pod_that_is_not_scraped_any_more_is_told_apart(scraped: Scraped) -> None:
    scraped.down.add("candidate-0")

    def gone() -> bool:
        return not scraped.sample(time.time()).looks[Side.CANDIDATE].readings

    until(gone, "the candidate's series have ended", WITHIN_S, every_s=0.1)
    looks = scraped.sample(time.time()).looks
    assert looks[Side.CANDIDATE].unusable["candidate-0"].flaw is Flaw.NO_DATA
    assert set(looks[Side.STABLE].readings) == {"stable-0"}
    scraped.down.clear()


def test_values_from_before_are_stale_even_where_prometheus_hands_them_out(
    scraped: Scraped,
) -> None:
    at = scraped.settled()
    found = scraped.sample(at + 100, stale_s=90).looks[Side.STABLE]
    assert [problem.flaw for problem in found.unusable.values()] == [Flaw.STALE]


def test_a_query_that_is_refused_is_an_error(scraped: Scraped) -> None:
    with pytest.raises(SourceFailed, match=r"refuses the query \(HTTP 400\)"):
        scraped.sample(time.time(), matchers={"no label": "x"})
