"""From the OpenAI protocol to the engine's requests: the last place that knows the former.

Pure functions of the parsed request and the server's context; the way back is in `responses`.
"""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dfastllm.core import Request, SamplingParams
from dfastllm.errors import InvalidRequest
from dfastllm.presets import PresetName
from dfastllm.server.bounds import (
    check_choices,
    check_logprobs,
    check_room,
    check_shared,
    check_text,
    check_token,
    no_mask,
)
from dfastllm.server.context import Caller, ServerContext
from dfastllm.server.conversation import conversation_for
from dfastllm.server.diffusion import deadline_for, decoding_for
from dfastllm.server.parameters import unsupported
from dfastllm.server.protocol import ChatCompletionRequest, CompletionRequest, SharedParameters

_DEFAULT_COMPLETION_TOKENS = 16  # OpenAI's
_SEEDS = 2**63


@dataclass(frozen=True, slots=True)
class Job:
    """One HTTP request as work for the engine, and what its answer must carry.

    `requests` holds one row for each choice, prompt by prompt, `n` rows for each. `echoes` is the
    text each choice begins with. `logprobs` asks for the confidence of each token. `preset` is the
    one that was asked for. Without `needs_engine` the echo is the whole answer.
    """

    answer_id: str
    model: str
    requests: tuple[Request, ...]
    echoes: tuple[str, ...]
    prompt_tokens: int
    stream: bool = False
    include_usage: bool = False
    logprobs: bool = False
    return_token_ids: bool = False
    preset: PresetName | None = None

    @property
    def needs_engine(self) -> bool:
        return self.requests[0].max_tokens > 0


def completion_job(request: CompletionRequest, ctx: ServerContext, caller: Caller) -> Job:
    """The work a completion asks for. Raises InvalidRequest or PromptTooLong."""
    check_shared(request, ctx, caller)
    if request.echo and request.logprobs is not None:
        raise unsupported("echo", "a prompt has no logprobs here")
    check_logprobs("logprobs", request.logprobs or 0, ctx)
    prompts = request.prompt if isinstance(request.prompt, list) else [request.prompt]
    if isinstance(prompts[0], int):
        prompts = [prompts]
    check_choices(len(prompts) * request.n, ctx)
    name, limit = request.token_limit
    max_tokens = _DEFAULT_COMPLETION_TOKENS if limit is None else limit
    if max_tokens == 0 and not request.echo:
        raise InvalidRequest(f"'{name}' may be 0 only together with 'echo'.", param=name)
    suffix = _suffix_ids(request, ctx)
    encoded = [_prompt_ids(prompt, request, ctx) for prompt in prompts]
    for ids in encoded:
        check_room(len(ids) + len(suffix), max_tokens, ctx, "prompt")
    base = _base(request, max_tokens, ctx, caller)
    base = replace(base, suffix=suffix, top_logprobs=request.logprobs or 0)
    texts = [_echo(prompt, ids, request, ctx) for prompt, ids in zip(prompts, encoded, strict=True)]
    return _job(
        request,
        f"cmpl-{uuid.uuid4().hex}",
        _rows(base, encoded, request),
        echoes=tuple(text for text in texts for _ in range(request.n)),
        logprobs=request.logprobs is not None,
    )


def chat_job(request: ChatCompletionRequest, ctx: ServerContext, caller: Caller) -> Job:
    """The work a chat completion asks for. Raises InvalidRequest or PromptTooLong."""
    check_shared(request, ctx, caller)
    if request.top_logprobs and not request.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    check_logprobs("top_logprobs", request.top_logprobs, ctx)
    check_choices(request.n, ctx)
    name, limit = request.token_limit
    if limit == 0:
        raise InvalidRequest(f"'{name}' must be at least 1.", param=name)
    conversation = conversation_for(request.messages)
    check_text("".join(turn["content"] or "" for turn in conversation), ctx, "messages")
    ids = no_mask(ctx.codec.encode_chat(conversation), ctx, "messages")
    check_room(len(ids), limit or 1, ctx, "messages")
    max_tokens = limit or min(ctx.default_max_tokens, ctx.max_model_len - len(ids))
    base = _base(request, max_tokens, ctx, caller)
    base = replace(base, top_logprobs=request.top_logprobs)
    return _job(
        request,
        f"chatcmpl-{uuid.uuid4().hex}",
        _rows(base, [ids], request),
        echoes=("",) * request.n,
        logprobs=request.logprobs,
    )


def seed_of_choice(seed: int, choice: int) -> int:
    """The seed of one of `n` choices: the first one's is the request's own (splitmix64)."""
    if choice == 0:
        return seed % _SEEDS
    mixed = (seed + choice * 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return (mixed ^ mixed >> 31) % _SEEDS


def _job(
    request: SharedParameters,
    answer_id: str,
    rows: list[Request],
    *,
    echoes: tuple[str, ...],
    logprobs: bool,
) -> Job:
    options = request.stream_options
    return Job(
        answer_id=answer_id,
        model=request.model,
        requests=tuple(
            replace(row, request_id=f"{answer_id}-{index}") for index, row in enumerate(rows)
        ),
        echoes=echoes,
        prompt_tokens=sum(len(row.prompt) + len(row.suffix) for row in rows[:: request.n]),
        stream=request.stream,
        include_usage=options is not None and options.include_usage,
        logprobs=logprobs,
        return_token_ids=request.return_token_ids,
        preset=request.diffusion.preset,
    )


def _base(
    request: SharedParameters, max_tokens: int, ctx: ServerContext, caller: Caller
) -> Request:
    """A row without prompt, seed or name."""
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    return Request(
        request_id="",
        prompt=(),
        max_tokens=max_tokens,
        sampling=SamplingParams(
            temperature=ctx.default_temperature if temperature is None else temperature,
            top_p=ctx.default_top_p if top_p is None else top_p,
            top_k=ctx.default_top_k if top_k is None else max(0, top_k),
            logit_bias=_logit_bias(request, ctx),
        ),
        decoding=decoding_for(request.diffusion, max_tokens, ctx),
        stop=tuple(request.stop),
        ignore_eos=request.ignore_eos,
        deadline_s=deadline_for(request.diffusion, ctx),
        priority=request.priority,
        key=caller.name,
        stream=request.stream,
        stream_canvas=request.diffusion.stream_canvas,
        skip_special_tokens=request.skip_special_tokens,
    )


def _rows(
    base: Request, prompts: Sequence[tuple[int, ...]], request: SharedParameters
) -> list[Request]:
    """`n` rows for each prompt; a prompt's answers do not depend on its neighbours in the batch."""
    rows = []
    for ids in prompts:
        seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        for choice in range(request.n):
            sampling = replace(base.sampling, seed=seed_of_choice(seed, choice))
            rows.append(replace(base, prompt=ids, sampling=sampling, repeats_prompt=choice > 0))
    return rows


def _prompt_ids(
    prompt: str | list[int], request: CompletionRequest, ctx: ServerContext
) -> tuple[int, ...]:
    if isinstance(prompt, str):
        check_text(prompt, ctx, "prompt")
        ids = ctx.codec.encode(prompt, add_special_tokens=request.add_special_tokens)
        if not ids:
            raise InvalidRequest("'prompt' must not be empty.", param="prompt")
        return no_mask(ids, ctx, "prompt")
    check_room(len(prompt), 0, ctx, "prompt")
    for token in prompt:
        check_token(token, "prompt", ctx)
    return tuple(prompt)


def _suffix_ids(request: CompletionRequest, ctx: ServerContext) -> tuple[int, ...]:
    if not request.suffix:
        return ()
    if not ctx.can_infill:
        raise unsupported("suffix", "this model sees nothing right of its answer")
    check_text(request.suffix, ctx, "suffix")
    return no_mask(ctx.codec.encode(request.suffix, add_special_tokens=False), ctx, "suffix")


def _echo(
    prompt: str | list[int], ids: tuple[int, ...], request: CompletionRequest, ctx: ServerContext
) -> str:
    if not request.echo:
        return ""
    if isinstance(prompt, str):
        return prompt
    return ctx.codec.decode(ids, skip_special_tokens=request.skip_special_tokens)


def _logit_bias(request: SharedParameters, ctx: ServerContext) -> tuple[tuple[int, float], ...]:
    biases: dict[int, float] = {}
    for name, bias in request.logit_bias.items():
        if not (name.isascii() and name.isdecimal() and len(name) <= 10):
            raise InvalidRequest("'logit_bias' is keyed by token ids.", param="logit_bias")
        check_token(int(name), "logit_bias", ctx)
        biases[int(name)] = bias
    return tuple(biases.items())
