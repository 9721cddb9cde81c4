"""Scraping pods, which are servers on loopback addresses."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from dfastllm_operator.analysis import Pod, Sample, Scrape, Side, SourceFailed
from dfastllm_operator.analysis.measure import finished
from dfastllm_operator.analysis.series import Flaw
from dfastllm_operator.analysis.window import opening
from support.counted import CountedServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STABLE, CANDIDATE = "127.0.0.1", "127.0.0.2"


def answering(page: bytes, status: int = 200) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=page, status=status)

    return answer


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"# nothing\n" * 1000)


async def redirects(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:1/elsewhere")


def scraped(pages: dict[str, Handler], *, timeout_s: float = 30.0) -> Sample:
    """One look at a stable and a candidate pod; the address of one that is left out is deaf."""

    async def look() -> Sample:
        port = unused_port()
        async with AsyncExitStack() as stack:
            for host, handler in pages.items():
                app = web.Application()
                app.router.add_get("/metrics", handler)
                server = TestServer(app, host=host, port=port)
                await stack.enter_async_context(server)
            source = Scrape(port=port, timeout_s=timeout_s, most_bytes=2**20)
            targets = {
                Side.STABLE: [Pod("stable-0", STABLE)],
                Side.CANDIDATE: [Pod("candidate-0", CANDIDATE)],
            }
            return await source.sample(targets, 1234.5)

    return asyncio.run(look())


def test_both_sides_are_read_at_one_moment() -> None:
    stable, candidate = CountedServer(), CountedServer()
    stable.answer(3)
    candidate.running(2)
    found = scraped({STABLE: answering(stable.page()), CANDIDATE: answering(candidate.page())})
    assert found.at == 1234.5
    assert found.looks[Side.STABLE].readings == {"stable-0": stable.reading()}
    assert found.looks[Side.CANDIDATE].readings == {"candidate-0": candidate.reading()}
    window = opening(0, 0).after(found)
    assert finished(window.side(Side.STABLE)) == 0


@pytest.mark.parametrize(
    ("handler", "flaw", "said"),
    [
        (None, Flaw.NO_DATA, "127.0.0.2"),
        (hangs, Flaw.NO_DATA, "no answer in time"),
        (endless, Flaw.MALFORMED, "sends more than 1048576 bytes"),
        (redirects, Flaw.NO_DATA, "answers HTTP 302"),
        (answering(b"", 503), Flaw.NO_DATA, "answers HTTP 503"),
        (answering(b"<html>"), Flaw.NO_DATA, "not the metrics of a model server"),
        (answering(b"\xff"), Flaw.MALFORMED, "not in the text format"),
        (answering(b"dfastllm_requests_running NaN\n"), Flaw.NOT_A_NUMBER, "is not a number"),
    ],
)
def test_a_pod_that_tells_nothing_spoils_its_own_side_only(
    handler: Handler | None, flaw: Flaw, said: str
) -> None:
    stable = CountedServer()
    pages = {STABLE: answering(stable.page()), CANDIDATE: handler}
    timeout_s = 2.0 if handler is hangs else 30.0
    found = scraped({host: page for host, page in pages.items() if page}, timeout_s=timeout_s)
    assert set(found.looks[Side.STABLE].readings) == {"stable-0"}
    problem = found.looks[Side.CANDIDATE].unusable["candidate-0"]
    assert problem.flaw is flaw
    assert said in problem.message


def test_no_pod_that_can_be_reached_is_an_error_of_the_source() -> None:
    with pytest.raises(SourceFailed, match="no pod can be reached: "):
        scraped({})


def test_a_pod_without_an_address_is_no_data() -> None:
    targets = {Side.STABLE: [], Side.CANDIDATE: [Pod("candidate-0")]}
    found = asyncio.run(Scrape().sample(targets, 1.0))
    assert found.looks[Side.CANDIDATE].unusable["candidate-0"].flaw is Flaw.NO_DATA


def test_nothing_to_ask_is_no_error() -> None:
    found = asyncio.run(Scrape().sample({}, 1.0))
    assert not found.looks[Side.STABLE].readings
    assert not Scrape().remembers
