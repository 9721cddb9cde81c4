"""The OpenAI API under `/v1` and `/openai/v1`: body in, engine asked, answer or error out.

Errors are answered inside the endpoint. An exception that reached the server's outermost layer
would cost the connection, and with it the client's next request.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dfastllm.errors import Cancelled, InvalidRequest, PromptTooLong
from dfastllm.server.answers import EchoStream, StreamWriter, collect
from dfastllm.server.context import AnswerStream, Caller, ServerContext, TextCodec
from dfastllm.server.dialects import ChatDialect, CompletionDialect, Dialect
from dfastllm.server.errors import (
    error_response,
    model_not_found,
    stamp_request_id,
    unsupported_media_type,
)
from dfastllm.server.fanin import FanIn
from dfastllm.server.openapi import CHAT, COMPLETIONS, MODEL, MODELS
from dfastllm.server.protocol import (
    ChatCompletionRequest,
    CompletionRequest,
    parse_chat,
    parse_completion,
)
from dfastllm.server.record import RequestRecord, record_of
from dfastllm.server.responses import model_object
from dfastllm.server.sse import EventStream
from dfastllm.server.translate import Job, chat_job, completion_job

_PREFIXES = ("/v1", "/openai/v1")
_BIG_BODY_BYTES = 32 * 1024  # tokenizing more than this would hold up other requests' chunks
_JSON = re.compile(r"^application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.IGNORECASE)

_Parsed = TypeVar("_Parsed", CompletionRequest, ChatCompletionRequest)
_Handler = Callable[[Request, ServerContext], Awaitable[Response]]


def openai_router(ctx: ServerContext) -> APIRouter:
    """The routes. `ctx` is not looked at before the first request."""
    router = APIRouter(tags=["openai"])
    for prefix in _PREFIXES:
        router.add_api_route(f"{prefix}/models", _endpoint(_models, ctx), **MODELS.at(prefix))
        router.add_api_route(
            f"{prefix}/models/{{model_id:path}}", _endpoint(_model, ctx), **MODEL.at(prefix)
        )
        router.add_api_route(
            f"{prefix}/completions", _endpoint(_completions, ctx), **COMPLETIONS.at(prefix)
        )
        router.add_api_route(f"{prefix}/chat/completions", _endpoint(_chat, ctx), **CHAT.at(prefix))
    return router


def _endpoint(handle: _Handler, ctx: ServerContext) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        # Outside the net below: a middleware stops a body that is too large by raising here.
        try:
            await request.body()
        except ClientDisconnect as error:
            return error_response(error, request)
        try:
            response = await handle(request, ctx)
        except HTTPException:
            raise
        except Exception as error:
            return error_response(error, request)
        stamp_request_id(request, response)
        return response

    return endpoint


async def _models(request: Request, ctx: ServerContext) -> Response:
    record_of(request.scope).route = "models"
    data = [model_object(name, ctx) for name in ctx.served_names]
    return _json({"object": "list", "data": data})


async def _model(request: Request, ctx: ServerContext) -> Response:
    record_of(request.scope).route = "models"
    name = request.path_params["model_id"]
    if name not in ctx.served_names:
        raise model_not_found(name)
    return _json(model_object(name, ctx))


async def _completions(request: Request, ctx: ServerContext) -> Response:
    record_of(request.scope).route = "completions"
    work = partial(_work, request, parse_completion, completion_job, ctx)
    return await _answer(request, ctx, *await _maybe_aside(request, work), CompletionDialect)


async def _chat(request: Request, ctx: ServerContext) -> Response:
    record_of(request.scope).route = "chat"
    work = partial(_work, request, parse_chat, chat_job, ctx)
    return await _answer(request, ctx, *await _maybe_aside(request, work), ChatDialect)


async def _maybe_aside(
    request: Request, work: Callable[[bytes], tuple[Job, tuple[str, ...]]]
) -> tuple[Job, tuple[str, ...]]:
    """Do the work here, or in a thread when there is much of it."""
    body = await request.body()
    if len(body) > _BIG_BODY_BYTES:
        return await asyncio.to_thread(work, body)
    return work(body)


def _work(
    request: Request,
    parse: Callable[[Mapping[str, Any]], tuple[_Parsed, tuple[str, ...]]],
    translate: Callable[[_Parsed, ServerContext, Caller], Job],
    ctx: ServerContext,
    body: bytes,
) -> tuple[Job, tuple[str, ...]]:
    """The body as work for the engine, and the names of what is ignored in it."""
    record = record_of(request.scope)
    document = _document(request, body)
    model = document.get("model")
    if isinstance(model, str):
        if model not in ctx.served_names:
            raise model_not_found(model)
        record.model = model
    try:
        parsed, ignored = parse(document)
        job = translate(parsed, ctx, _caller(request))
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.", code="") from None
    record.ignored = ignored
    return job, ignored


def _document(request: Request, body: bytes) -> dict[str, Any]:
    if not _JSON.match(request.headers.get("content-type", "")):
        raise unsupported_media_type()
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", code="") from None
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be a JSON object.", code="")
    return document


def _caller(request: Request) -> Caller:
    caller = request.scope.get("state", {}).get("caller")
    if isinstance(caller, Caller):
        return caller
    return Caller(name=request.client.host) if request.client else Caller()


async def _answer(
    request: Request,
    ctx: ServerContext,
    job: Job,
    ignored: tuple[str, ...],
    dialect_of: Callable[[Job, TextCodec], Dialect],
) -> Response:
    record = record_of(request.scope)
    _note(job, record)
    dialect = dialect_of(job, ctx.codec)
    headers = {"x-dfastllm-ignored": _listed(ignored)} if ignored else {}
    streams = _submit(job, ctx)
    record.prompt_tokens = job.prompt_tokens  # not before: what is refused is not charged
    if job.stream:
        writer = StreamWriter(job, dialect, record)
        return EventStream(request, streams, writer, ctx.keepalive_s, headers)
    try:
        async with FanIn(streams, request.receive) as answers:
            return _json(await collect(job, dialect, answers, record), headers)
    except Cancelled:
        record.count_unread(streams)
        raise


def _submit(job: Job, ctx: ServerContext) -> Sequence[AnswerStream]:
    if not job.needs_engine:
        return [EchoStream(len(row.prompt)) for row in job.requests]
    try:
        return ctx.generator.submit(job.requests)
    except PromptTooLong as error:
        error.param = "prompt" if job.answer_id.startswith("cmpl-") else "messages"
        raise


def _note(job: Job, record: RequestRecord) -> None:
    first = job.requests[0]
    record.stream = job.stream
    record.choices = len(job.requests)
    record.priority = first.priority
    record.preset = None if job.preset is None else job.preset.value
    record.strategy = first.decoding.strategy.value
    record.cache = first.decoding.cache.value


def _listed(names: tuple[str, ...]) -> str:
    """For a header: names are the caller's text, so only plain characters, and not too many."""
    plain = [re.sub(r"[^A-Za-z0-9_.-]", "?", name[:64]) or "?" for name in names[:16]]
    if len(names) > len(plain):
        plain.append(f"+{len(names) - len(plain)}")
    return ", ".join(plain)


def _json(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), 200, headers, "application/json")
