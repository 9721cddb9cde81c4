"""From settings to an engine with its tokenizer: the one place that wires the inference half.

The layers below get the few values that concern them and never see the settings.
"""

import logging
from dataclasses import dataclass

import torch

from dfastllm.cache.pool import PAGE_TOKENS
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.engine.observer import EngineObserver
from dfastllm.errors import CheckpointError
from dfastllm.models.checkpoint import load_model
from dfastllm.models.config_fields import read_json
from dfastllm.models.context import ContextNetwork, load_context
from dfastllm.models.device import cpu_dtype, keep_memory, pick_device, use_threads
from dfastllm.models.generation_defaults import GenerationDefaults, read_generation_defaults
from dfastllm.models.loader import Progress, stored_dtype
from dfastllm.models.source import ModelSource, resolve_model
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.summary import kv_bytes_per_token
from dfastllm.models.transformer import Transformer
from dfastllm.presets import PRESET_KEYS, Preset
from dfastllm.settings import Settings
from dfastllm.settings_decoding import DecodingSection
from dfastllm.tokenizer import Tokenizer
from dfastllm.tokenizer_files import read_tokenizer
from dfastllm.verifier import check_tokens, find_verifier

_log = logging.getLogger(__name__)
CPU_KV_BYTES = 1 << 30  # K/V memory on a CPU unless the settings say otherwise


@dataclass(frozen=True, slots=True)
class Built:
    """An engine ready to run; `defaults` apply where a request says nothing."""

    engine: DFastLLMEngine
    tokenizer: Tokenizer
    source: ModelSource
    defaults: GenerationDefaults


def build(
    settings: Settings,
    *,
    observer: EngineObserver | None = None,
    progress: Progress | None = None,
) -> Built:
    """Load the model that the settings name; raises CheckpointError when it cannot be served."""
    chosen = settings.model
    source = resolve_model(chosen.model, chosen.revision, tokenizer=chosen.tokenizer)
    device = pick_device(chosen.device)
    n_threads = use_threads(chosen.num_threads)
    dtype: str = chosen.dtype
    if device.type == "cpu":
        keep_memory()
        if dtype == "auto":
            dtype = cpu_dtype(stored_dtype(source.directory))
        _log.info("computing in %s on %d threads of the CPU", dtype, n_threads)
    model = load_model(source.directory, dtype=dtype, device=device, progress=progress)
    spec = model.spec
    tokenizer = Tokenizer.load(
        source.tokenizer_directory, vocab_size=spec.vocab_size, mask_id=spec.mask_id
    )
    if tokenizer.n_ids > spec.vocab_size:
        raise CheckpointError(
            f"the tokenizer knows ids up to {tokenizer.n_ids - 1}, "
            f"the model's vocabulary ends at {spec.vocab_size - 1}: they do not belong together"
        )
    context = _load_context(source, model, tokenizer)
    verifier = find_verifier(chosen.verifier, chosen.model, model, tokenizer, context)
    reader = None if context is None else context.network
    engine = DFastLLMEngine(
        model,
        _engine_config(settings, model, verifier, reader),
        verifier=verifier,
        context=reader,
        observer=observer,
    )
    return Built(engine, tokenizer, source, _defaults(settings.decoding, source))


def _load_context(
    source: ModelSource, model: Transformer, tokenizer: Tokenizer
) -> ContextNetwork | None:
    """The network that reads the model's context, if that is not the model itself."""
    context = load_context(source.directory, model)
    if context is None:
        return None
    if (context.directory / "tokenizer.json").exists():
        name = f"context network {model.spec.context_model}"
        check_tokens(name, read_tokenizer(context.directory).backend.get_vocab(True), tokenizer)
    _log.info("another network reads the context: %d layers", context.network.spec.n_layers)
    return context


def _engine_config(
    settings: Settings,
    model: Transformer,
    verifier: Transformer[NetworkSpec] | None,
    context: Transformer[NetworkSpec] | None,
) -> EngineConfig:
    limit = min(m.spec.max_position for m in (model, context) if m is not None)
    wanted = settings.model.max_model_len or limit
    if wanted > limit:
        raise CheckpointError(
            f"max_model_len is {wanted}, but the model was made for {limit} positions"
        )
    engine = settings.engine
    # One budget for both: as many positions of the model as of a verifier with K/V of its own.
    own = None if verifier is context else verifier
    token_bytes = sum(_token_bytes(m) for m in (model, own) if m is not None)
    tokens = engine.kv_cache_tokens or _kv_tokens(
        model.embed.weight.device, token_bytes, engine.memory_fraction
    )
    # More than every running row at full length can never be used.
    most = engine.max_running_requests * -(-wanted // PAGE_TOKENS) * PAGE_TOKENS
    return EngineConfig(
        max_model_len=wanted,
        max_running=engine.max_running_requests,
        max_queued=engine.max_queued_requests,
        max_queued_tokens=engine.max_queued_tokens,
        max_per_key=engine.max_requests_per_key,
        max_step_tokens=engine.max_step_tokens,
        kv_cache_tokens=min(tokens, most),
    )


def _token_bytes(model: Transformer[NetworkSpec]) -> int:
    """K/V of one position over all layers."""
    return kv_bytes_per_token(model.spec, model.embed.weight.dtype)


def _kv_tokens(device: torch.device, token_bytes: int, memory_fraction: float) -> int:
    """Positions whose K/V fit: into the share of device memory left, half of it kept for work."""
    if device.type != "cuda":
        return CPU_KV_BYTES // token_bytes
    free, total = torch.cuda.mem_get_info(device)
    budget = int(free - (1 - memory_fraction) * total) // 2
    if budget < token_bytes * PAGE_TOKENS:
        raise CheckpointError(
            f"no device memory is left for the K/V cache within memory_fraction {memory_fraction}"
        )
    return budget // token_bytes


def _defaults(section: DecodingSection, source: ModelSource) -> GenerationDefaults:
    """The model's own defaults with the preset of the settings on top, and on that their fields."""
    path = source.directory / "generation_config.json"
    own = read_generation_defaults(read_json(path) if path.exists() else {})
    said = Preset(**{name: getattr(section, name) for name in PRESET_KEYS})
    return own.under(section.preset, said)
