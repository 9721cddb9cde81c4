"""From settings to a served model: build the engine, warm it up, start it, describe it."""

import time
from collections.abc import Callable

import structlog

from dfastllm.core import DecodingParams, StrategyName
from dfastllm.errors import CheckpointError
from dfastllm.metrics import EngineMetrics
from dfastllm.metrics_vllm import describe_model
from dfastllm.server.context import DecodingLimits, ServerContext
from dfastllm.server.lifecycle import Loaded
from dfastllm.server.prompt_log import PromptLog
from dfastllm.settings import Settings
from dfastllm.settings_decoding import DecodingSection

log = structlog.get_logger("dfastllm.loading")

_TELL_EVERY = 0.25  # of the weights


def load(settings: Settings) -> Loaded:
    """Blocks until the first answer was computed. Raises CheckpointError, or what the engine does.

    torch is imported here and not above: the port is open before that.
    """
    began = time.perf_counter()
    log.info("loading", model=settings.model.model)
    from dfastllm.build import build
    from dfastllm.engine.service import EngineService

    metrics = EngineMetrics()
    built = build(settings, observer=metrics, progress=_progress())
    metrics.kv_page_bytes = built.engine.kv_page_bytes
    metrics.verifier_page_bytes = built.engine.verifier_page_bytes
    check_defaults(built.defaults.decoding, settings.decoding, verifies=built.engine.verifies)
    service = EngineService(built.engine, built.tokenizer)
    loaded = time.perf_counter()
    metrics.counting = False
    service.warm_up(built.defaults.decoding_of())
    metrics.counting = True
    service.start()
    log.info(
        "loaded",
        load_s=round(loaded - began, 2),
        warm_up_s=round(time.perf_counter() - loaded, 2),
        max_model_len=built.engine.config.max_model_len,
        kv_cache_tokens=built.engine.config.kv_cache_tokens,
    )
    describe_model(settings.model.metrics_name)
    server = settings.server
    context = ServerContext(
        generator=PromptLog(service, built.tokenizer) if settings.log.log_prompts else service,
        codec=built.tokenizer,
        served_names=settings.model.served_names,
        created=int(time.time()),
        max_model_len=built.engine.config.max_model_len,
        eos_ids=built.engine.spec.eos_ids,
        defaults=built.defaults.decoding,
        presets=built.defaults.presets,
        limits=limits_of(settings.decoding),
        default_max_tokens=settings.decoding.default_max_tokens,
        default_temperature=built.defaults.temperature,
        default_top_p=built.defaults.top_p,
        default_top_k=built.defaults.top_k,
        max_n=server.max_n,
        max_logprobs=server.max_logprobs,
        timeout_s=settings.engine.request_timeout_s,
        keepalive_s=server.keepalive_s,
        can_infill=not built.engine.spec.causal_context,
        verifies=built.engine.verifies,
    )
    return Loaded(context, service.close)


def check_defaults(
    defaults: DecodingParams, section: DecodingSection, *, verifies: bool = False
) -> None:
    """What a request gets when it says nothing must be what a request may ask for.

    The settings check themselves; the model's own generation_config.json is checked here, with the
    preset that the settings choose from it. Raises CheckpointError.
    """
    chosen = "" if section.preset is None else f" with preset {section.preset}"
    if defaults.strategy is StrategyName.APD and not verifies:
        raise CheckpointError(
            f"the default strategy{chosen} is apd, which needs a verifier, and there is none: name "
            "one with --verifier, or another strategy"
        )
    allowed = {
        "strategy": defaults.strategy in section.allowed_strategies,
        "cache": defaults.cache in section.allowed_caches,
        "block_length": defaults.block_length <= section.max_block_length,
        "threshold": defaults.threshold >= section.min_threshold,
        "factor": defaults.factor <= section.max_factor,
        "r": _within(defaults.r, section.max_r),
        "window": _within(defaults.window, section.max_window),
        "lookahead": _within(defaults.lookahead, section.max_lookahead),
    }
    for name, fits in allowed.items():
        if not fits:
            raise CheckpointError(
                f"the model's default {name}{chosen} is {getattr(defaults, name)}, which the "
                f"limits in section decoding forbid; set {name} there"
            )


def _within(value: float | None, most: float | None) -> bool:
    return value is None or most is None or value <= most


def limits_of(section: DecodingSection) -> DecodingLimits:
    return DecodingLimits(
        strategies=section.allowed_strategies,
        caches=section.allowed_caches,
        max_block_length=section.max_block_length,
        max_steps=section.max_steps,
        min_threshold=section.min_threshold,
        max_factor=section.max_factor,
        max_r=section.max_r,
        max_window=section.max_window,
        max_lookahead=section.max_lookahead,
    )


def _progress() -> Callable[[int, int], None]:
    told = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        share = done / total if total else 1.0
        if share >= told + _TELL_EVERY or share == 1.0 > told:
            told = share
            log.info("loading weights", percent=round(share * 100))

    return tell
