"""How an answer is made, as flags: the same for `generate` and `chat`, here and on a server.

Values become the body of an API request, and the API's own rules say what is wrong with them: a
flag means what the field of that name means.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

from dfastllm.core import CacheKind, DecodingParams, Remasking, SamplingParams, StrategyName
from dfastllm.errors import InvalidRequest
from dfastllm.presets import PresetName

if TYPE_CHECKING:
    from dfastllm.llm import LLM
    from dfastllm.server.protocol import SharedParameters

_panel = partial(typer.Option, show_default=False)
_decoding = partial(_panel, rich_help_panel="decoding")
_sampling = partial(_panel, rich_help_panel="sampling")
_DIFFUSION = (
    "preset", "strategy", "threshold", "factor", "steps", "block_length", "cache", "remasking", "r",
    "window", "lookahead",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """What was asked for; None is the model's or the server's default."""

    max_tokens: Annotated[int, _panel(help="Longest answer, in tokens.", show_default=True)] = 128
    stop: Annotated[list[str] | None, _panel(help="Text that ends the answer; repeatable.")] = None
    preset: Annotated[
        PresetName | None, _decoding(help="Rule that the model has for this; other flags go first.")
    ] = None
    strategy: Annotated[
        StrategyName | None, _decoding(help="Rule that picks what a forward commits.")
    ] = None
    threshold: Annotated[
        float | None, _decoding(help="Least confidence to commit (strategy threshold).")
    ] = None
    factor: Annotated[float | None, _decoding(help="Factor of strategy factor.")] = None
    steps: Annotated[
        int | None, _decoding(help="Denoising steps of the whole answer (strategy fixed).")
    ] = None
    block_length: Annotated[int | None, _decoding(help="Length of a block, in tokens.")] = None
    cache: Annotated[CacheKind | None, _decoding(help="K/V reused between refreshes.")] = None
    remasking: Annotated[
        Remasking | None, _decoding(help="How strategy fixed ranks candidates.")
    ] = None
    r: Annotated[
        float | None, _decoding(help="The model's weight against its verifier (strategy apd).")
    ] = None
    window: Annotated[
        int | None, _decoding(help="Tokens fed again left of the last commit (strategy apd).")
    ] = None
    lookahead: Annotated[
        int | None, _decoding(help="Masks right of the active block; with apd the longest draft.")
    ] = None
    temperature: Annotated[float | None, _sampling(help="0 takes the likeliest token.")] = None
    top_p: Annotated[float | None, _sampling(help="Share of probability mass drawn from.")] = None
    top_k: Annotated[int | None, _sampling(help="Number of tokens drawn from; 0: all.")] = None
    seed: Annotated[int | None, _sampling(help="Makes draws repeatable.")] = None

    def body(self) -> dict[str, Any]:
        """The fields of an API request that say the same."""
        names = ("max_tokens", "stop", "temperature", "top_p", "top_k", "seed")
        body = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        diffusion = {name: getattr(self, name) for name in _DIFFUSION}
        said = {name: value for name, value in diffusion.items() if value is not None}
        return body | ({"diffusion": said} if said else {})


@dataclass(frozen=True, slots=True)
class Resolved:
    """Every value that takes part, defaults filled in."""

    max_tokens: int
    stop: tuple[str, ...]
    sampling: SamplingParams
    decoding: DecodingParams


def check(options: AnswerOptions) -> "SharedParameters":
    """The options as a request of the API. Raises InvalidRequest naming the flag."""
    from pydantic import ValidationError

    from dfastllm.server.protocol import SharedParameters

    try:
        checked = SharedParameters.model_validate({"model": "local", **options.body()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidRequest(f"{_flag(str(first['loc'][-1]))}: {first['msg']}") from None
    if not checked.max_tokens:
        raise InvalidRequest("--max-tokens: Input should be greater than 0")
    return checked


def resolve(options: AnswerOptions, llm: "LLM") -> Resolved:
    """The options on top of a loaded model's defaults. Raises InvalidRequest naming the flag."""
    from dfastllm.server.context import DecodingLimits, ServerContext
    from dfastllm.server.diffusion import decoding_for

    checked = check(options)
    assert checked.max_tokens
    context = ServerContext(
        generator=cast(Any, None),  # only defaults and limits are looked at
        codec=llm.tokenizer,
        served_names=("local",),
        created=0,
        max_model_len=llm.engine.config.max_model_len,
        eos_ids=llm.engine.spec.eos_ids,
        defaults=llm.defaults.decoding,
        presets=llm.defaults.presets,
        limits=DecodingLimits(max_block_length=2**31, max_steps=2**31),
        verifies=llm.engine.verifies,
    )
    try:
        decoding = decoding_for(checked.diffusion, checked.max_tokens, context)
    except InvalidRequest as error:
        name = (error.param or "").removeprefix("diffusion.")
        text = str(error).replace(f"'{error.param}'", _flag(name)).rstrip(".")
        raise InvalidRequest(text, param=error.param) from None
    own = llm.defaults
    sampling = SamplingParams(
        temperature=own.temperature if checked.temperature is None else checked.temperature,
        top_p=own.top_p if options.top_p is None else options.top_p,
        top_k=own.top_k if options.top_k is None else max(options.top_k, 0),
        seed=SystemRandom().getrandbits(32) if checked.seed is None else checked.seed,
    )
    return Resolved(checked.max_tokens, tuple(checked.stop), sampling, decoding)


def answer_command(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as a typer callback whose `options` became one flag per field."""
    own = inspect.signature(command, eval_str=True).parameters
    kinds = get_type_hints(AnswerOptions, include_extras=True)
    flags = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default,
            annotation=kinds[field.name],
        )
        for field in fields(AnswerOptions)
    ]  # fmt: skip
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in own.items()
        if name != "options"
    ]

    def callback(**given: Any) -> None:
        said = {field.name: given.pop(field.name) for field in fields(AnswerOptions)}
        command(options=AnswerOptions(**said | {"stop": said["stop"] or None}), **given)

    callback.__doc__ = command.__doc__
    callback.__signature__ = inspect.Signature([*parameters, *flags])  # type: ignore[attr-defined]
    callback.__annotations__ = {p.name: p.annotation for p in [*parameters, *flags]}
    return callback


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
