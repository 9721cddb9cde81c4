"""The servers that `server_overhead` compares: our HTTP layer over a scripted engine, bare FastAPI.

    python -m benchmarks.overhead_server --kind ours --port 0

A thread plays the engine: each tick it hands every open answer one chunk, across the thread border
and in one call, as the real service does. `/probe` tells CPU time and event-loop lag.
"""

import argparse
import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dfastllm.core import Chunk, FinishReason, RequestStats, TokenLogprob
from dfastllm.core import Request as EngineRequest
from dfastllm.engine.mailbox import Mailbox
from dfastllm.models.checkpoint import directory_spec
from dfastllm.models.source import resolve_model
from dfastllm.server.app import build_app
from dfastllm.server.context import AnswerStream, ServerContext
from dfastllm.server.lifecycle import Lifecycle, Loaded
from dfastllm.server.serving import serve
from dfastllm.server.stack import build_stack
from dfastllm.settings_sources import load as load_settings
from dfastllm.tokenizer import Tokenizer

TICK_S = 0.005
_LAG_PERIOD_S = 0.005
_BODY = {
    "id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": "tiny",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "word"},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
}  # fmt: skip


class ScriptedEngine:
    """Answers with as many one-token chunks as `max_tokens` says, one each tick."""

    ready = alive = True

    def __init__(self) -> None:
        self._open: dict[str, tuple[Mailbox, int, int]] = {}
        self._inbox: list[tuple[EngineRequest, Mailbox]] = []
        self._wake = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, requests: Sequence[EngineRequest]) -> list[AnswerStream]:
        self._loop = asyncio.get_running_loop()
        boxes = [Mailbox(r.request_id, lambda _: None, whole=not r.stream) for r in requests]
        self._inbox += zip(requests, boxes, strict=True)
        self._wake.set()
        return list(boxes)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._inbox or self._open:
                while self._inbox:
                    request, box = self._inbox.pop()
                    self._open[request.request_id] = (box, 0, request.max_tokens)
                posts = [self._advance(key) for key in list(self._open)]
                assert self._loop is not None
                self._loop.call_soon_threadsafe(_put_all, posts)
                time.sleep(TICK_S)

    def _advance(self, key: str) -> tuple[Mailbox, Chunk]:
        box, given, wanted = self._open[key]
        given += 1
        done = given >= wanted
        if done:
            del self._open[key]
        else:
            self._open[key] = (box, given, wanted)
        stats = RequestStats(12, given, given, given, 0.0, 0.0) if done else None
        finish = FinishReason.STOP if done else None
        return box, Chunk(" word", (TokenLogprob(300, -0.1),), finish, stats)


def _put_all(posts: list[tuple[Mailbox, Chunk]]) -> None:
    for box, chunk in posts:
        box.put(chunk)


class Probe:
    """Adds `/probe`: process CPU seconds, and how late the event loop ran since the last call."""

    def __init__(self, app: ASGIApp):
        self._app = app
        self._lags: list[float] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        if scope.get("path") != "/probe":
            await self._app(scope, receive, send)
            return
        lags, self._lags = self._lags or [0.0], []
        p50, p99 = np.percentile(lags, (50, 99)).tolist()
        report = {"cpu_s": time.process_time(), "lag_p50_s": p50, "lag_p99_s": p99,
                  "lag_max_s": max(lags)}  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(report).encode()})

    async def _watch(self) -> None:
        while True:
            due = time.perf_counter() + _LAG_PERIOD_S
            await asyncio.sleep(_LAG_PERIOD_S)
            self._lags.append(max(time.perf_counter() - due, 0.0))


def bare_app() -> FastAPI:
    """The least that FastAPI can do with the same requests."""
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Any:
        body = await request.json()
        if not body.get("stream"):
            return _BODY
        return StreamingResponse(pieces(body["max_tokens"]), media_type="text/event-stream")

    async def pieces(count: int) -> AsyncIterator[bytes]:
        piece = b"data: " + json.dumps(_BODY).encode() + b"\n\n"
        for _ in range(count):
            await asyncio.sleep(TICK_S)
            yield piece
        yield b"data: [DONE]\n\n"

    return app


def serve_ours(port: int) -> None:
    settings = load_settings({"port": port, "plain": True, "access_log": True}, environ={}).settings
    lifecycle = Lifecycle()
    source = resolve_model("builtin:tiny")
    spec = directory_spec(source.directory)
    codec = Tokenizer.load(source.directory, vocab_size=spec.vocab_size, mask_id=spec.mask_id)
    context = ServerContext(
        generator=ScriptedEngine(),
        codec=codec,
        served_names=("tiny",),
        created=0,
        max_model_len=1024,
        eos_ids=spec.eos_ids,
    )
    stack = build_stack(build_app(lifecycle), settings, lifecycle)
    serve(Probe(stack), settings, lifecycle, lambda: Loaded(context))


def serve_bare(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    config = uvicorn.Config(Probe(bare_app()), log_level="error", lifespan="off", ws="none")
    for message in ("listening", "ready"):  # the connections wait in the backlog meanwhile
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(json.dumps({"message": message, "url": url}), file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("ours", "bare"), required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if options.kind == "bare":
        serve_bare(options.port)
        return
    from dfastllm import log

    log.configure("json", "info")
    serve_ours(options.port)


if __name__ == "__main__":
    main()
