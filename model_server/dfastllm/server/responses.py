"""The answers' shapes: typed for reading and for the OpenAPI document, plain dicts at run time.

No pydantic here: a streamed chunk costs one small dict and one `orjson.dumps`.
"""

import time
from collections.abc import Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from dfastllm import __version__
from dfastllm.core import CanvasState, RequestStats, StrategyName
from dfastllm.server.context import ServerContext
from dfastllm.server.translate import Job

SYSTEM_FINGERPRINT = f"dfastllm-{__version__}"

_Finish = Literal["stop", "length"]


class ErrorDetail(TypedDict):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    error: ErrorDetail


class ModelObject(TypedDict):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None
    max_model_len: int
    name: str
    ready: bool


class ModelList(TypedDict):
    object: Literal["list"]
    data: list[ModelObject]


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class DiffusionReport(TypedDict):
    preset: NotRequired[str]
    strategy: str
    forward_passes: int
    refresh_passes: int
    context_passes: NotRequired[int]
    tokens_per_forward: float
    verifier_passes: NotRequired[int]
    drafted: NotRequired[int]
    accepted: NotRequired[int]
    queue_s: float
    compute_s: float


class TopLogprob(TypedDict):
    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatChoiceLogprobs(TypedDict):
    content: list[ChatTokenLogprob]
    refusal: None


class ChatMessage(TypedDict):
    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(TypedDict):
    index: int
    message: ChatMessage
    logprobs: ChatChoiceLogprobs | None
    finish_reason: _Finish
    token_ids: NotRequired[list[int]]


class _Answer(TypedDict):
    id: str
    created: int
    model: str
    system_fingerprint: str
    usage: Usage
    diffusion: DiffusionReport


class ChatCompletion(_Answer):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    prompt_token_ids: NotRequired[list[int]]


class CompletionChoiceLogprobs(TypedDict):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(TypedDict):
    index: int
    text: str
    logprobs: CompletionChoiceLogprobs | None
    finish_reason: _Finish
    token_ids: NotRequired[list[int]]
    prompt_token_ids: NotRequired[list[int]]


class Completion(_Answer):
    object: Literal["text_completion"]
    choices: list[CompletionChoice]


def envelope(job: Job, kind: str) -> dict[str, Any]:
    """The keys that are the same in an answer and in every chunk of a stream."""
    return {
        "id": job.answer_id,
        "object": kind,
        "created": int(time.time()),
        "model": job.model,
        "system_fingerprint": SYSTEM_FINGERPRINT,
    }


def usage(job: Job, stats: Sequence[RequestStats]) -> Usage:
    """Each prompt counts once, however many choices it has."""
    completion_tokens = sum(row.completion_tokens for row in stats)
    return {
        "prompt_tokens": job.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": job.prompt_tokens + completion_tokens,
    }


def diffusion_report(job: Job, stats: Sequence[RequestStats]) -> DiffusionReport:
    forward_passes = sum(row.forward_passes for row in stats)
    tokens = sum(row.completion_tokens for row in stats)
    report: DiffusionReport = {
        "strategy": job.requests[0].decoding.strategy.value,
        "forward_passes": forward_passes,
        "refresh_passes": sum(row.refresh_passes for row in stats),
        "tokens_per_forward": round(tokens / forward_passes, 3) if forward_passes else 0.0,
        "queue_s": round(sum(row.queue_s for row in stats), 6),
        "compute_s": round(sum(row.compute_s for row in stats), 6),
    }
    if job.preset is not None:
        report["preset"] = job.preset.value
    if context_passes := sum(row.context_passes for row in stats):
        report["context_passes"] = context_passes
    if job.requests[0].decoding.strategy is StrategyName.APD:
        report["verifier_passes"] = sum(row.verifier_passes for row in stats)
        report["drafted"] = sum(row.drafted for row in stats)
        report["accepted"] = sum(row.accepted for row in stats)
    return report


def canvas_report(index: int, canvas: CanvasState) -> dict[str, Any]:
    return {
        "canvas": {
            "index": index,
            "step": canvas.step,
            "token_ids": canvas.token_ids,
            "text": canvas.text,
        }
    }


def model_object(name: str, ctx: ServerContext) -> ModelObject:
    return {
        "id": name,
        "object": "model",
        "created": ctx.created,
        "owned_by": "dfastllm",
        "root": ctx.served_names[0],
        "parent": None,
        "max_model_len": ctx.max_model_len,
        "name": name,
        "ready": ctx.generator.ready,
    }
