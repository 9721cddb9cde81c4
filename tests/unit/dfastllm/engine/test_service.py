"""The engine behind its asyncio door: text, stop strings, cancellation, death."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from dfastllm.core import Chunk, DecodingParams, FinishReason, Request, StrategyName
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.engine.mailbox import Mailbox
from dfastllm.engine.observer import Deaf
from dfastllm.engine.service import EngineService
from dfastllm.errors import Cancelled, EngineFailed, NotReady, Overloaded, RowFailed
from dfastllm.tokenizer import Tokenizer
from support.fake_model import (
    CAUSAL,
    EOT,
    Letters,
    ScriptedModel,
    make_engine,
    pseudo_random,
    says,
)

PROMPT = (1, 2, 3)
ONE = DecodingParams(StrategyName.FIXED, 8)
TEXT = "abcdefghij"


def speaking(text: str = TEXT, **config: int) -> DFastLLMEngine:
    return make_engine(says([*Letters.ids(text), EOT], len(PROMPT)), **config)


def with_service(
    engine: DFastLLMEngine, use: Callable[[EngineService], Awaitable[Any]]
) -> EngineService:
    service = EngineService(engine, cast(Tokenizer, Letters()))

    async def main() -> None:
        service.start()
        try:
            await asyncio.wait_for(use(service), 20)
        finally:
            service.close()

    asyncio.run(main())
    return service


async def read(mailbox: Mailbox) -> list[Chunk]:
    arrived = asyncio.Event()
    mailbox.listen(arrived.set)
    chunks: list[Chunk] = []
    while not chunks or chunks[-1].finish_reason is None:
        await arrived.wait()
        arrived.clear()
        while chunk := mailbox.take():
            chunks.append(chunk)
    return chunks


def request(name: str = "r", **options: Any) -> Request:
    options.setdefault("decoding", ONE)
    options.setdefault("max_tokens", 30)
    return Request(name, PROMPT, **options)


def test_an_answer_streams_as_text_and_ends_with_its_statistics() -> None:
    async def use(service: EngineService) -> None:
        (mailbox,) = service.submit([request()])
        chunks = await read(mailbox)
        assert "".join(c.text for c in chunks) == TEXT
        assert chunks[-1].finish_reason is FinishReason.STOP
        assert chunks[-1].stats.completion_tokens == 11
        assert chunks[-1].stats.forward_passes == 11
        assert [c.finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert sum(len(c.tokens) for c in chunks) == 11

    with_service(speaking(), use)


@pytest.mark.parametrize("stop", ["e", "cde", "defgh"])
def test_a_stop_string_ends_the_row_in_the_step_that_completes_it(stop: str) -> None:
    engine = speaking()

    async def use(service: EngineService) -> None:
        (mailbox,) = service.submit([request(stop=(stop, "zz"))])
        chunks = await read(mailbox)
        assert "".join(c.text for c in chunks) == TEXT[: TEXT.index(stop)]
        assert chunks[-1].finish_reason is FinishReason.STOP
        completed_at = TEXT.index(stop) + len(stop)
        assert chunks[-1].stats.completion_tokens == completed_at
        assert chunks[-1].stats.forward_passes == completed_at
        assert engine.load == (0, 0)

    with_service(engine, use)


def test_a_stop_string_inside_one_block_commit_cuts_the_tokens_behind_it() -> None:
    async def use(service: EngineService) -> None:
        ask = request(stop=("cd",), decoding=DecodingParams(block_length=16))
        chunks = await read(service.submit([ask])[0])
        assert "".join(c.text for c in chunks) == "ab"
        assert chunks[-1].stats.completion_tokens == 4
        assert chunks[-1].stats.forward_passes == 1

    with_service(speaking(), use)


def test_cancelling_ends_the_stream_and_frees_the_row() -> None:
    gate = threading.Event()
    engine = speaking("a" * 200, max_running=1)
    cast(ScriptedModel, engine._runner._model).before = lambda batch: (gate.wait(10), None)[1]

    async def use(service: EngineService) -> None:
        (mailbox,) = service.submit([request(max_tokens=200)])
        mailbox.cancel()
        gate.set()
        with pytest.raises(Cancelled):
            await read(mailbox)
        (other,) = service.submit([request("next", max_tokens=2, ignore_eos=True)])
        assert (await read(other))[-1].finish_reason is FinishReason.LENGTH
        assert len(cast(ScriptedModel, engine._runner._model).forwards) <= 4

    with_service(engine, use)


def test_a_full_queue_refuses_at_once_and_takes_work_again_later() -> None:
    async def use(service: EngineService) -> None:
        first = service.submit([request(str(i)) for i in range(3)])
        with pytest.raises(Overloaded):
            service.submit([request("x")])
        await asyncio.gather(*(read(m) for m in first))
        await read(service.submit([request("later")])[0])

    with_service(speaking(max_running=1, max_queued=2), use)


def test_many_readers_get_their_own_answers() -> None:
    async def use(service: EngineService) -> None:
        asked = [request(str(i), max_tokens=1 + i % 9, ignore_eos=True) for i in range(60)]
        answers = await asyncio.gather(*(read(m) for m in service.submit(asked)))
        for i, chunks in enumerate(answers):
            assert "".join(c.text for c in chunks) == TEXT[: 1 + i % 9]

    with_service(speaking(max_running=7), use)


class Stumbles(Letters):
    """Cannot decode token 3 in a canvas."""

    def decode(self, ids: Any, *, skip_special_tokens: bool = True) -> str:
        if 3 in ids:
            raise ValueError("a bug")
        return super().decode(ids, skip_special_tokens=skip_special_tokens)


def test_an_answer_whose_text_cannot_be_made_fails_alone() -> None:
    service = EngineService(speaking(), cast(Tokenizer, Stumbles()))

    async def main() -> None:
        service.start()
        try:
            shown, plain = service.submit([request("a", stream_canvas=True), request("b")])
            with pytest.raises(RowFailed):
                await read(shown)
            assert "".join(c.text for c in await read(plain)) == TEXT
            assert service.alive
        finally:
            service.close()

    asyncio.run(main())


class Counts(Deaf):
    def __init__(self) -> None:
        self.finished_with: list[tuple[int, int, str]] = []

    def finished(self, stats: Any, outcome: Any) -> None:
        self.finished_with.append((stats.prompt_tokens, stats.completion_tokens, outcome))


def test_what_is_counted_is_what_was_kept_and_a_prompt_once() -> None:
    counts = Counts()
    model = ScriptedModel(says([*Letters.ids(TEXT), EOT], len(PROMPT)))
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=256), observer=counts)

    async def use(service: EngineService) -> None:
        whole_block = DecodingParams(block_length=16)
        asked = [
            request(str(i), stop=("cd",), decoding=whole_block, repeats_prompt=i > 0)
            for i in range(3)
        ]
        chunks = [await read(m) for m in service.submit(asked)]
        assert all(c[-1].stats.first_token_s is not None for c in chunks)

    with_service(engine, use)
    assert counts.finished_with == [(3, 4, "stop"), (0, 4, "stop"), (0, 4, "stop")]


class Dies(Deaf):
    def step(self, *args: Any) -> None:
        raise MemoryError("a bug outside any row")


def test_a_dead_engine_fails_its_readers_and_says_so() -> None:
    engine = DFastLLMEngine(
        ScriptedModel(pseudo_random()), EngineConfig(max_model_len=256), observer=Dies()
    )

    async def use(service: EngineService) -> None:
        mailboxes = service.submit([request("a"), request("b")])
        for mailbox in mailboxes:
            with pytest.raises(EngineFailed):
                await read(mailbox)
        assert not service.alive
        assert not service.ready
        with pytest.raises(EngineFailed):
            service.submit([request("c")])

    with_service(engine, use)


def test_closing_ends_unfinished_answers_and_refuses_new_ones() -> None:
    async def use(service: EngineService) -> None:
        (mailbox,) = service.submit([request(max_tokens=400)])
        service.close()
        with pytest.raises(NotReady):
            await read(mailbox)
        with pytest.raises(NotReady):
            service.submit([request("late")])

    with_service(speaking("a" * 500), use)


def test_a_model_that_cannot_answer_never_becomes_ready() -> None:
    engine = make_engine(lambda position: pseudo_random()(position) * float("nan"))
    service = EngineService(engine, cast(Tokenizer, Letters()))
    with pytest.raises(RowFailed):
        service.warm_up(ONE)
    assert not service.ready


@pytest.mark.parametrize("strategy", StrategyName)
def test_a_warm_up_is_two_forwards_of_each_model_whatever_they_say(strategy: StrategyName) -> None:
    drafter = ScriptedModel(says([], prompt_length=1))  # ends its answer at once
    verifier = ScriptedModel(pseudo_random(), CAUSAL)
    engine = DFastLLMEngine(drafter, EngineConfig(max_model_len=512), verifier=verifier)
    EngineService(engine, cast(Tokenizer, Letters())).warm_up(DecodingParams(strategy, 8, steps=99))
    assert len(drafter.forwards) == len(verifier.forwards) == 2
    assert not engine.has_work


def test_a_warm_up_fits_the_shortest_context() -> None:
    engine = make_engine(pseudo_random(), max_model_len=2)
    EngineService(engine, cast(Tokenizer, Letters())).warm_up(ONE)
    assert not engine.has_work


def test_a_slow_reader_finds_its_chunks_merged() -> None:
    async def main() -> None:
        mailbox = Mailbox("r", lambda request_id: None)
        for letter in "abc":
            mailbox.put(Chunk(text=letter))
        mailbox.put(Chunk(text="d", finish_reason=FinishReason.LENGTH))
        assert [c.text for c in await read(mailbox)] == ["abcd"]

    asyncio.run(main())


def test_a_reader_that_wants_the_whole_is_woken_once() -> None:
    async def use(service: EngineService) -> None:
        (mailbox,) = service.submit([request(stream=False)])
        woken: list[bool] = []
        done = asyncio.Event()
        mailbox.listen(lambda: (woken.append(True), done.set())[1])
        await done.wait()
        chunk = mailbox.take()
        assert woken == [True]
        assert chunk is not None
        assert chunk.text == TEXT
        assert len(chunk.tokens) == 11
        assert chunk.finish_reason is FinishReason.STOP

    with_service(speaking(), use)


def test_the_canvas_is_shown_after_every_step() -> None:
    async def use(service: EngineService) -> None:
        ask = request(max_tokens=4, ignore_eos=True, stream_canvas=True)
        chunks = await read(service.submit([ask])[0])
        canvases = [c.canvas for c in chunks if c.canvas is not None]
        assert [c.step for c in canvases] == [1, 2, 3, 4]
        assert [c.text.count("░") for c in canvases] == [3, 2, 1, 0]
        assert canvases[-1].text == "abcd"

    with_service(speaking(), use)
