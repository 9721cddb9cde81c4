from collections.abc import Awaitable, Callable

import aiohttp

from dfastllm_operator.health import HealthServer
from dfastllm_operator.metrics import Metrics
from support.scripted_api import run

Get = Callable[[str], Awaitable[tuple[int, str]]]


def serving(
    body: Callable[[HealthServer, Get], Awaitable[None]], metrics: Metrics | None = None
) -> None:
    async def test() -> None:
        health = HealthServer(metrics or Metrics())
        port = await health.start("127.0.0.1", 0)
        async with aiohttp.ClientSession() as session:

            async def get(path: str) -> tuple[int, str]:
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    return answer.status, await answer.text()

            await body(health, get)
        await health.close()

    run(test())


def test_without_problems_all_is_well() -> None:
    async def body(health: HealthServer, get: Get) -> None:
        health.alive_if(list)
        assert await get("/livez") == (200, "ok")
        assert await get("/readyz") == (200, "ok")

    serving(body)


def test_a_problem_is_red_and_told_and_goes_away_again() -> None:
    async def body(health: HealthServer, get: Get) -> None:
        problems = ["the queue has been stuck for 130 s"]
        health.alive_if(lambda: problems)
        health.alive_if(lambda: ["and more"])
        assert await get("/livez") == (503, "the queue has been stuck for 130 s\nand more")
        assert (await get("/readyz"))[0] == 200
        problems.clear()
        assert await get("/livez") == (503, "and more")

    serving(body)


def test_ready_is_apart_from_alive() -> None:
    async def body(health: HealthServer, get: Get) -> None:
        health.ready_if(lambda: ["no CRD"])
        assert await get("/readyz") == (503, "no CRD")
        assert await get("/livez") == (200, "ok")

    serving(body)


def test_metrics_are_measured_when_they_are_asked_for() -> None:
    async def body(health: HealthServer, get: Get) -> None:
        health.before_metrics(lambda: metrics.queue_depth.set(17))
        status, text = await get("/metrics")
        assert status == 200
        assert "dfastllm_operator_queue_depth 17.0" in text

    metrics = Metrics()
    serving(body, metrics)


def test_a_server_that_never_started_can_be_closed() -> None:
    run(HealthServer(Metrics()).close())
