"""Several answers read as one: order, errors, silence, slow readers, and who gets cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dfastllm.core import Chunk, FinishReason, Request
from dfastllm.errors import Cancelled, RowFailed
from dfastllm.server.fanin import FanIn
from support.scripted import Say, ScriptedStream

STOP = FinishReason.STOP


def stream(*script: Say) -> ScriptedStream:
    return ScriptedStream(Request("r", (1,), 8), script)


async def connected() -> Any:
    await asyncio.Event().wait()


async def gone() -> Any:
    return {"type": "http.disconnect"}


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 5))


def test_chunks_keep_their_order_and_their_index() -> None:
    async def test() -> None:
        streams = [stream(Say("a"), Say("b", finish=STOP)), stream(Say("c", finish=STOP))]
        seen: list[tuple[int, Chunk]] = []
        async with FanIn(streams, connected) as answers:
            async for batch in answers:
                seen += batch
        assert [c.text for i, c in seen if i == 0] == ["a", "b"]
        assert [c.text for i, c in seen if i == 1] == ["c"]
        assert not any(s.cancelled.is_set() for s in streams)

    run(test)


def test_an_error_comes_after_what_came_before_it_and_cancels_the_rest() -> None:
    async def test() -> None:
        streams = [stream(Say(after_s=60)), stream(Say("a"), Say(error=RowFailed("x")))]
        async with FanIn(streams, connected) as answers:
            assert [chunk.text for _, chunk in await anext(answers)] == ["a"]
            with pytest.raises(RowFailed):
                await anext(answers)
        assert streams[0].cancelled.is_set()

    run(test)


def test_silence_is_an_empty_batch() -> None:
    async def test() -> None:
        async with FanIn([stream(Say(after_s=60))], connected, silence_s=0.01) as answers:
            assert await anext(answers) == []
            assert await anext(answers) == []

    run(test)


def test_the_end_of_one_answer_is_no_silence() -> None:
    async def test() -> None:
        streams = [stream(Say("a", finish=STOP)), stream(Say("b", after_s=0.05, finish=STOP))]
        async with FanIn(streams, connected, silence_s=5) as answers:
            batches = [batch async for batch in answers]
        assert all(batches)

    run(test)


def test_a_caller_that_is_gone_is_cancelled_and_nothing_more_is_read() -> None:
    async def test() -> None:
        only = stream(Say("a"), Say(after_s=60))
        async with FanIn([only], gone) as answers:
            with pytest.raises(Cancelled):
                await anext(answers)
            assert only.cancelled.is_set()

    run(test)


def test_the_end_of_the_task_cancels_the_answers() -> None:
    async def test() -> None:
        only = stream(Say(after_s=60))

        async def read() -> None:
            async with FanIn([only], connected) as answers:
                await anext(answers)

        task = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert only.cancelled.is_set()

    run(test)


def test_a_slow_reader_finds_what_it_missed_merged() -> None:
    async def test() -> None:
        script = [Say("x") for _ in range(999)]
        async with FanIn([stream(*script, Say("y", finish=STOP))], connected) as answers:
            first = await anext(answers)
            await asyncio.sleep(0.2)
            rest = [entry async for batch in answers for entry in batch]
        assert len(rest) == 1
        assert "".join(c.text for _, c in (*first, *rest)) == "x" * 999 + "y"

    run(test)
