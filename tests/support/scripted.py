"""A `Generator` that answers from a script, and a tokenizer of bytes.

engine = ScriptedGenerator([Say("he"), Say("llo", finish=FinishReason.STOP)])
app = bare_app(server_context(engine))
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from dfastllm.core import CanvasState, Chunk, FinishReason, Request, RequestStats, TokenLogprob
from dfastllm.engine.mailbox import Mailbox
from dfastllm.errors import InvalidRequest
from dfastllm.server.context import AnswerStream, ServerContext
from dfastllm.server.errors import install_error_handlers
from dfastllm.server.routes import openai_router

BOS, EOS, MASK = 256, 257, 258
VOCABULARY = 259


class ByteCodec:
    """One token per byte, then BOS, EOS and the mask."""

    vocab_size = VOCABULARY
    mask_id = MASK
    longest_token_bytes = 1
    has_chat_template = True

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        ids = list(text.encode())
        return [BOS, *ids] if add_special_tokens else ids

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        if not self.has_chat_template:
            raise InvalidRequest("This model has no chat template.", param="messages")
        text = "".join(f"{message['role']}:{message['content']}\n" for message in messages)
        return [BOS, *text.encode()]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        pieces = [self.token_bytes(i) for i in ids if i < BOS or not skip_special_tokens]
        return b"".join(pieces).decode(errors="replace")

    def token_text(self, token_id: int) -> str:
        return self.token_bytes(token_id).decode(errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if token_id < BOS else f"<{token_id}>".encode()


@dataclass(frozen=True, slots=True)
class Say:
    """One step of a script: wait, then raise, or hand out a chunk.

    Every byte of `text` becomes a token, `tokens` says otherwise. The chunk with `finish` gets the
    stats.
    """

    text: str = ""
    after_s: float = 0.0
    tokens: tuple[TokenLogprob, ...] | None = None
    canvas: CanvasState | None = None
    finish: FinishReason | None = None
    error: Exception | None = None


Script = Sequence[Say]
HELLO: Script = (Say("hel"), Say("lo", finish=FinishReason.STOP))


def tokens_of(text: str, alternatives: int = 0) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(byte, -0.25, tuple((byte + i, -0.25 - i) for i in range(alternatives)))
        for byte in text.encode()
    )


class ScriptedStream:
    """One answer; `cancelled` tells whether somebody stopped it before its end."""

    def __init__(self, request: Request, script: Script):
        self.request = request
        self.cancelled = threading.Event()
        self._box = Mailbox(request.request_id, self._on_cancel, whole=not request.stream)
        self._script = script
        self._speaking: asyncio.Task[None] | None = None

    def _on_cancel(self, request_id: str) -> None:
        self.cancelled.set()

    def listen(self, wake: Callable[[], None]) -> None:
        self._box.listen(wake)
        self._speaking = asyncio.create_task(self._speak())

    def take(self) -> Chunk | None:
        return self._box.take()

    def cancel(self) -> None:
        self._box.cancel()
        if self._speaking is not None:
            self._speaking.cancel()

    async def _speak(self) -> None:
        given = 0
        for say in self._script:
            if say.after_s:
                await asyncio.sleep(say.after_s)
            if say.error is not None:
                self._box.put(say.error)
                return
            tokens = say.tokens
            if tokens is None:
                tokens = tokens_of(say.text, self.request.top_logprobs)
            given += len(tokens)
            stats = RequestStats(len(self.request.prompt), given, given, 1, 0.25, 0.5, 0.375)
            self._box.put(
                Chunk(
                    text=say.text,
                    tokens=tokens,
                    canvas=say.canvas,
                    finish_reason=say.finish,
                    stats=stats if say.finish else None,
                )
            )
            await asyncio.sleep(0)  # one chunk at a time, as from steps of an engine


@dataclass
class ScriptedGenerator:
    """Answers every request by `script`, or by what `script_for` makes of it."""

    script: Script = HELLO
    ready: bool = True
    alive: bool = True
    refusal: Exception | None = None
    script_for: Callable[[Request], Script] | None = None
    streams: list[ScriptedStream] = field(default_factory=list)

    def submit(self, requests: Sequence[Request]) -> list[AnswerStream]:
        if self.refusal is not None:
            raise self.refusal
        streams = [ScriptedStream(r, (self.script_for or self._same)(r)) for r in requests]
        self.streams += streams
        return list(streams)

    @property
    def requests(self) -> list[Request]:
        return [stream.request for stream in self.streams]

    def _same(self, _: Request) -> Script:
        return self.script


def server_context(generator: ScriptedGenerator, **changes: Any) -> ServerContext:
    ctx = ServerContext(
        generator=generator,
        codec=ByteCodec(),
        served_names=("tiny", "org/tiny"),
        created=1_700_000_000,
        max_model_len=512,
        eos_ids=(EOS,),
    )
    return replace(ctx, **changes)


_CURRENT: ContextVar[ServerContext] = ContextVar("context")


class _CurrentContext:
    def __getattr__(self, name: str) -> Any:
        return getattr(_CURRENT.get(), name)


@cache
def scripted_app() -> FastAPI:
    """The routes without middleware. Built once: hundreds of tests use it, and it takes a while."""
    app = FastAPI()
    app.include_router(openai_router(cast(ServerContext, _CurrentContext())))
    install_error_handlers(app)
    return app


def bare_app(ctx: ServerContext) -> ASGIApp:
    """The application as it is for this context."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        _CURRENT.set(ctx)
        await scripted_app()(scope, receive, send)

    return app


@contextmanager
def serving(app: ASGIApp, http: Any = "auto") -> Iterator[str]:
    """The application on a real socket, in a thread; yields `http://127.0.0.1:PORT`.

    `http` is the protocol as uvicorn takes it.
    """
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", http=http)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
