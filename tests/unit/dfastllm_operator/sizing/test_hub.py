"""The door to the hub, against a server on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dfastllm_operator.sizing import Hub
from dfastllm_operator.sizing.hub import FOUND_S, LARGEST_CONFIG, MISSED_S

CONFIG = json.dumps(
    {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 100,
    }
)


class FakeHub:
    """Answers every request with `body` and `status`; `paths` are those that were asked for."""

    def __init__(self) -> None:
        self.status = 200
        self.body = CONFIG
        self.hangs = False
        self.paths: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.raw_path)
        if self.hangs:
            await asyncio.sleep(60)
        return web.Response(status=self.status, text=self.body)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def a_hub(clock: Clock, timeout_s: float = 5.0) -> AsyncIterator[tuple[FakeHub, Hub]]:
    fake = FakeHub()
    app = web.Application()
    app.router.add_get("/{path:.*}", fake.answer)
    async with TestServer(app) as server:
        yield fake, Hub(str(server.make_url("/")), timeout_s=timeout_s, clock=clock)


def test_a_configuration_is_read_once_an_hour() -> None:
    async def scenario() -> None:
        clock = Clock()
        async with a_hub(clock) as (fake, hub):
            found = await hub.config("someone/model", None)
            assert found is not None
            assert found.shape.layers == 2
            assert await hub.config("someone/model", None) == found
            assert fake.paths == ["/someone/model/resolve/main/config.json"]
            clock.now += FOUND_S
            await hub.config("someone/model", None)
            assert len(fake.paths) == 2

    asyncio.run(scenario())


def test_a_revision_is_another_configuration_and_is_quoted() -> None:
    async def scenario() -> None:
        async with a_hub(Clock()) as (fake, hub):
            await hub.config("someone/model", "refs/pr/1")
            assert fake.paths == ["/someone/model/resolve/refs%2Fpr%2F1/config.json"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "not found"),
        (401, CONFIG),
        (500, CONFIG),
        (200, "no json"),
        (200, "[]"),
        (200, "{}"),
        (200, " " * LARGEST_CONFIG + CONFIG),
    ],
)
def test_what_is_no_configuration_is_no_answer_and_is_not_asked_again_at_once(
    status: int, body: str
) -> None:
    async def scenario() -> None:
        clock = Clock()
        async with a_hub(clock) as (fake, hub):
            fake.status, fake.body = status, body
            assert await hub.config("someone/model", None) is None
            assert await hub.config("someone/model", None) is None
            assert len(fake.paths) == 1
            clock.now += MISSED_S
            fake.status, fake.body = 200, CONFIG
            assert await hub.config("someone/model", None) is not None

    asyncio.run(scenario())


def test_a_hub_that_hangs_is_given_up() -> None:
    async def scenario() -> None:
        async with a_hub(Clock(), timeout_s=0.05) as (fake, hub):
            fake.hangs = True
            assert await hub.config("someone/model", None) is None

    asyncio.run(scenario())


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://", "nonsense", None, ""])
def test_no_network_is_no_answer(endpoint: str | None) -> None:
    hub = Hub(endpoint, timeout_s=1.0, clock=Clock())
    assert asyncio.run(hub.config("someone/model", None)) is None
