"""The two request bodies of the OpenAI API, and our `diffusion` object, as pydantic models.

Types are strict: nothing is coerced, since a client that sends "0.7" has a bug it should hear of.
Ranges that depend on the server (context, limits) are checked in `translate`. The answers' shapes
are in `responses`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    Strict,
    ValidationError,
)

from dfastllm.core import CacheKind, Remasking, StrategyName
from dfastllm.errors import InvalidRequest
from dfastllm.presets import PresetName
from dfastllm.server.fields import Int, Prompt, Stop, Text
from dfastllm.server.parameters import CHAT, COMPLETIONS, Neutral, sift, unsupported

_INT64 = 2**63
_INT32 = 2**31


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


_Preset = Annotated[PresetName, Strict(False)]
_Strategy = Annotated[StrategyName, Strict(False)]
_Cache = Annotated[CacheKind, Strict(False)]
_Remasking = Annotated[Remasking, Strict(False)]


class DiffusionOptions(_Strict):
    """How masks become tokens, for this request; what is left out is the server's default."""

    model_config = ConfigDict(extra="forbid")

    preset: _Preset | None = None
    strategy: _Strategy | None = None
    steps: Int | None = Field(default=None, ge=1, le=_INT32)
    block_length: Int | None = Field(default=None, ge=1, le=_INT32)
    threshold: float | None = Field(default=None, gt=0, le=1)
    factor: float | None = Field(default=None, gt=0, le=100)
    cache: _Cache | None = None
    remasking: _Remasking | None = None
    r: float | None = Field(default=None, ge=0, le=1)
    window: Int | None = Field(default=None, ge=0, le=_INT32)
    lookahead: Int | None = Field(default=None, ge=0, le=_INT32)
    timeout_s: float | None = Field(default=None, gt=0)
    stream_canvas: bool = False
    cfg_scale: float = 0.0


class StreamOptions(_Strict):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class SharedParameters(_Strict):
    """What both routes take."""

    model: str = Field(max_length=512)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: Int | None = Field(default=None, ge=-1, le=_INT32)
    n: Int = Field(default=1, ge=1, le=_INT32)
    max_tokens: Int | None = Field(default=None, ge=0, le=_INT32)
    max_completion_tokens: Int | None = Field(default=None, ge=0, le=_INT32)
    stop: Stop = Field(default_factory=list)
    seed: Int | None = Field(default=None, ge=-_INT64, le=_INT64 - 1)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] = Field(
        default_factory=dict, max_length=1024
    )
    stream: bool = False
    stream_options: StreamOptions | None = None
    priority: Int = Field(default=0, ge=-_INT32, le=_INT32)
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    return_token_ids: bool = False
    diffusion: DiffusionOptions = DiffusionOptions()

    @property
    def token_limit(self) -> tuple[str, int | None]:
        """The parameter that bounds the answer, and its value."""
        if self.max_completion_tokens is not None:
            return "max_completion_tokens", self.max_completion_tokens
        return "max_tokens", self.max_tokens


class CompletionRequest(SharedParameters):
    """POST /v1/completions. A `suffix` asks for infilling: the answer stands before it."""

    prompt: Prompt
    suffix: str = ""
    echo: bool = False
    logprobs: Int | None = Field(default=None, ge=0, le=5)
    add_special_tokens: bool = True


class _FunctionCall(_Strict):
    name: str = Field(max_length=256)
    arguments: str = ""


class ToolCall(_Strict):
    id: str | None = None
    type: Literal["function"] = "function"
    function: _FunctionCall


class Message(_Strict):
    """One turn. Turns of tools are history: they are rendered by the template, never made here."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | None = None
    refusal: str | None = None
    name: str | None = Field(default=None, max_length=256)
    tool_call_id: str | None = Field(default=None, max_length=256)
    tool_calls: list[ToolCall] | None = Field(default=None, max_length=256)


class ChatCompletionRequest(SharedParameters):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], FailFast()] = Field(min_length=1, max_length=4096)
    logprobs: bool = False
    top_logprobs: Int = Field(default=0, ge=0, le=20)


_Kind = TypeVar("_Kind", bound=SharedParameters)


def parse_completion(body: Mapping[str, Any]) -> tuple[CompletionRequest, tuple[str, ...]]:
    """The request in this body and the names of what is ignored in it. Raises InvalidRequest."""
    return _parse(CompletionRequest, body, COMPLETIONS)


def parse_chat(body: Mapping[str, Any]) -> tuple[ChatCompletionRequest, tuple[str, ...]]:
    request, ignored = _parse(ChatCompletionRequest, body, CHAT)
    return request, ignored + _unread_in_messages(body["messages"])


def _parse(
    kind: type[_Kind], body: Mapping[str, Any], refused: Mapping[str, Neutral]
) -> tuple[_Kind, tuple[str, ...]]:
    honoured, ignored = sift(body, kind.model_fields, refused)
    for name in ("diffusion", "stream_options"):
        inner = honoured.get(name)
        if isinstance(inner, dict):
            honoured[name] = {key: value for key, value in inner.items() if value is not None}
    try:
        request = kind.model_validate(honoured)
    except ValidationError as error:
        raise _first_of(error) from None
    if request.stream_options is not None:
        if not request.stream:
            raise InvalidRequest(
                "'stream_options' is only allowed with 'stream': true.", param="stream_options"
            )
        if request.stream_options.continuous_usage_stats:
            raise unsupported("stream_options.continuous_usage_stats")
        unread = honoured["stream_options"].keys() - StreamOptions.model_fields.keys()
        ignored += tuple(f"stream_options.{name}" for name in sorted(unread))
    return request, ignored


def _unread_in_messages(messages: list[dict[str, Any]]) -> tuple[str, ...]:
    unread: dict[str, None] = {}
    for message in messages:
        for name in message.keys() - Message.model_fields.keys():
            if message[name] is None:
                continue
            if name in ("audio", "function_call"):
                raise unsupported(f"messages.{name}")
            unread[f"messages.{name}"] = None
    return tuple(unread)


def _first_of(error: ValidationError) -> InvalidRequest:
    """The first thing wrong, in the caller's words: a dotted path, and no echo of the value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [str(part)[:64] for part in first["loc"]]
    where = ".".join(path)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return InvalidRequest(f"The parameter '{where}' is required.", param=where)
    if first["type"] == "extra_forbidden":
        text = f"There is no parameter '{where}'."
        return InvalidRequest(text, param=where, code="unknown_parameter")
    return InvalidRequest(f"'{where}': {message}.", param=where)
