"""What a request may ask for on this server: bounds set by the context, not by the protocol."""

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
