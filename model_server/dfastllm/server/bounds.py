"""What a request may ask for on this server: bounds set by the context, not by the protocol."""

from collections.abc import Sequence

from dfastllm.errors import InvalidRequest, PromptTooLong
from dfastllm.server.context import Caller, ServerContext
from dfastllm.server.protocol import SharedParameters


def check_token(token: int, param: str, ctx: ServerContext) -> None:
    if not 0 <= token < ctx.codec.vocab_size:
        raise InvalidRequest(f"'{param}' holds {token}, no id of this vocabulary.", param=param)
    if token == ctx.codec.mask_id:
        raise InvalidRequest(f"'{param}' holds {token}, the mask of this model.", param=param)


def check_shared(request: SharedParameters, ctx: ServerContext, caller: Caller) -> None:
    if request.n > ctx.max_n:
        raise InvalidRequest(f"'n' must be at most {ctx.max_n}.", param="n")
    if len(request.stop) > ctx.max_stop:
        raise InvalidRequest(f"'stop' may hold at most {ctx.max_stop} strings.", param="stop")
    if request.priority < caller.min_priority:
        raise InvalidRequest(
            f"'priority' must be at least {caller.min_priority} for you.", param="priority"
        )
    if request.diffusion.stream_canvas and not request.stream:
        name = "diffusion.stream_canvas"
        raise InvalidRequest(f"'{name}' is only allowed with 'stream': true.", param=name)


def check_choices(choices: int, ctx: ServerContext) -> None:
    if choices > ctx.max_choices:
        raise InvalidRequest(
            f"At most {ctx.max_choices} choices are given at once, not {choices}.", param="n"
        )


def check_logprobs(name: str, alternatives: int, ctx: ServerContext) -> None:
    if alternatives > ctx.max_logprobs:
        raise InvalidRequest(f"'{name}' must be at most {ctx.max_logprobs} here.", param=name)


def check_room(prompt_tokens: int, max_tokens: int, ctx: ServerContext, param: str) -> None:
    if prompt_tokens + max_tokens > ctx.max_model_len:
        raise PromptTooLong(
            f"This model's maximum context length is {ctx.max_model_len} tokens. You asked for "
            f"{prompt_tokens + max_tokens}: {prompt_tokens} in the '{param}', {max_tokens} in the "
            "answer.",
            param=param,
        )


def check_text(text: str, ctx: ServerContext, param: str) -> None:
    """Refuse a text that cannot fit, before it is tokenized.

    Tokenizing megabytes holds up every other request: the library keeps the interpreter's lock.
    """
    most = ctx.max_model_len * ctx.codec.longest_token_bytes
    if len(text) > most:
        raise PromptTooLong(
            f"This model's maximum context length is {ctx.max_model_len} tokens; '{param}' has "
            f"{len(text)} characters, which are more tokens than that.",
            param=param,
        )


def no_mask(ids: Sequence[int], ctx: ServerContext, param: str) -> tuple[int, ...]:
    """The ids, unless the mask is among them: it stands for what is to be answered."""
    if ctx.codec.mask_id in ids:
        raise InvalidRequest(f"'{param}' must not contain the mask token.", param=param)
    return tuple(ids)
