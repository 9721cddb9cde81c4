"""The `diffusion` object of a request, resolved against presets, defaults and limits.

A request with a preset is one that says what the preset says. Its own fields go first, and beside a
`strategy` of its own the preset's parameters of other rules are not said at all.
"""

from dfastllm.core import CacheKind, DecodingParams, Remasking, StrategyName
from dfastllm.errors import InvalidRequest
from dfastllm.presets import RULE_OF, Preset, goes_with
from dfastllm.server.context import ServerContext
from dfastllm.server.parameters import unsupported
from dfastllm.server.protocol import DiffusionOptions


def decoding_for(options: DiffusionOptions, max_tokens: int, ctx: ServerContext) -> DecodingParams:
    """The effective decoding. Raises InvalidRequest naming the parameter that does not fit."""
    if options.preset is None:
        return _resolve(options, max_tokens, ctx)
    preset = ctx.presets[options.preset]
    try:
        return _resolve(_filled_in(options, preset, ctx), max_tokens, ctx)
    except InvalidRequest as error:
        # The parameter at fault may be one that the caller never wrote.
        text = f"{str(error).rstrip('.')}; the preset '{options.preset}' is: {preset}."
        raise InvalidRequest(text, param=error.param, code=error.code) from None


def _filled_in(options: DiffusionOptions, preset: Preset, ctx: ServerContext) -> DiffusionOptions:
    """The options and, where they say nothing, what the preset says for the rule used."""
    strategy = options.strategy or preset.strategy or _implied(options) or ctx.defaults.strategy
    said = {
        name: value
        for name, value in preset.said.items()
        if getattr(options, name) is None and goes_with(name, strategy)
    }
    return options.model_copy(update=said)


def _resolve(options: DiffusionOptions, max_tokens: int, ctx: ServerContext) -> DecodingParams:
    _check_limits(options, ctx)
    strategy = _strategy(options, ctx)
    defaults = ctx.defaults
    if strategy is StrategyName.APD:
        _check_apd(options, ctx)
    block_length = options.block_length or defaults.block_length
    steps = None
    if strategy is StrategyName.FIXED:
        steps = _steps(options, max_tokens, block_length, ctx)
    return DecodingParams(
        strategy=strategy,
        block_length=block_length,
        steps=steps,
        threshold=defaults.threshold if options.threshold is None else options.threshold,
        factor=defaults.factor if options.factor is None else options.factor,
        remasking=_remasking(options, strategy, defaults),
        cache=_cache(options, strategy, defaults),
        lookahead=defaults.lookahead if options.lookahead is None else options.lookahead,
        r=defaults.r if options.r is None else options.r,
        window=defaults.window if options.window is None else options.window,
    )


def deadline_for(options: DiffusionOptions, ctx: ServerContext) -> float | None:
    asked = options.timeout_s
    if asked is None:
        return ctx.timeout_s
    if ctx.timeout_s is not None and asked > ctx.timeout_s:
        raise _bad("timeout_s", f"must be at most {ctx.timeout_s:g}, the limit of this server")
    return asked


def _strategy(options: DiffusionOptions, ctx: ServerContext) -> StrategyName:
    """The one named, else the one implied by the parameters given, else the default."""
    strategy = options.strategy or _implied(options)
    for name, owner in RULE_OF.items():
        if getattr(options, name) is not None and owner is not strategy:
            raise _bad(name, f"belongs to the strategy '{owner}', not to '{strategy}'")
    if strategy is None:
        return ctx.defaults.strategy
    if strategy not in ctx.limits.strategies:
        raise _bad("strategy", f"'{strategy}' is not allowed on this server")
    return strategy


def _implied(options: DiffusionOptions) -> StrategyName | None:
    """The strategy that the first parameter of one belongs to."""
    said = (name for name in RULE_OF if getattr(options, name) is not None)
    return next((RULE_OF[name] for name in said), None)


def _check_apd(options: DiffusionOptions, ctx: ServerContext) -> None:
    """What adaptive parallel decoding needs, and what it has no use for."""
    if not ctx.verifies:
        raise _bad("strategy", "'apd' needs a verifier, and this server has none")
    if options.block_length is not None:
        raise _bad("block_length", "does not go with the strategy 'apd', which knows no blocks")
    if options.cache not in (None, CacheKind.NONE):
        raise _bad("cache", "does not go with the strategy 'apd', whose cache is its 'window'")
    if options.lookahead == 0:
        raise _bad("lookahead", "must be at least 1 with the strategy 'apd'")


def _cache(
    options: DiffusionOptions, strategy: StrategyName, defaults: DecodingParams
) -> CacheKind:
    if strategy is StrategyName.APD:
        return CacheKind.NONE
    return defaults.cache if options.cache is None else options.cache


def _steps(
    options: DiffusionOptions, max_tokens: int, block_length: int, ctx: ServerContext
) -> int | None:
    blocks = -(-max_tokens // block_length)
    if options.steps is None:
        if ctx.defaults.strategy is not StrategyName.FIXED or ctx.defaults.steps is None:
            # One token a step, as far as the server allows that many steps.
            return None if max_tokens <= ctx.limits.max_steps else max(blocks, ctx.limits.max_steps)
        return max(blocks, min(ctx.defaults.steps, max_tokens))  # made for other lengths: fitted
    if not blocks <= options.steps <= max_tokens:
        raise _bad(
            "steps",
            f"must lie between {blocks} (one for each block) and {max_tokens} (one for each token)",
        )
    return options.steps


def _remasking(
    options: DiffusionOptions, strategy: StrategyName, defaults: DecodingParams
) -> Remasking:
    if options.remasking is not None:
        return options.remasking
    return defaults.remasking if strategy is StrategyName.FIXED else Remasking.LOW_CONFIDENCE


def _check_limits(options: DiffusionOptions, ctx: ServerContext) -> None:
    limits = ctx.limits
    if options.cfg_scale != 0:
        raise unsupported("diffusion.cfg_scale", "there is no classifier-free guidance")
    if options.block_length is not None and options.block_length > limits.max_block_length:
        raise _bad("block_length", f"must be at most {limits.max_block_length}")
    if options.steps is not None and options.steps > limits.max_steps:
        raise _bad("steps", f"must be at most {limits.max_steps}")
    if options.threshold is not None and options.threshold < limits.min_threshold:
        raise _bad("threshold", f"must be at least {limits.min_threshold:g}")
    if options.factor is not None and options.factor > limits.max_factor:
        raise _bad("factor", f"must be at most {limits.max_factor:g}")
    for name in ("r", "window", "lookahead"):
        asked, most = getattr(options, name), getattr(limits, f"max_{name}")
        if asked is not None and most is not None and asked > most:
            raise _bad(name, f"must be at most {most:g}")
    if options.cache is not None and options.cache not in limits.caches:
        raise _bad("cache", f"'{options.cache}' is not allowed on this server")


def _bad(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"'diffusion.{name}' {what}.", param=f"diffusion.{name}")
