"""The engine's slice of the configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Bounds of the engine; every number is positive.

    `max_running`: rows denoised together. `max_queued` and `max_queued_tokens` bound what waits
    (tokens count prompt and answer); `max_per_key` bounds what one caller has running or queued
    (None: only the whole is bounded). `max_model_len`: prompt, answer and suffix of a row, tokens.
    `max_step_tokens`: positions fed in one forward; a single row may exceed it alone.
    `kv_cache_tokens`: positions whose K/V are kept, over all rows.
    """

    max_model_len: int
    max_running: int = 8
    max_queued: int = 256
    max_queued_tokens: int = 262_144
    max_per_key: int | None = None
    max_step_tokens: int = 8_192
    kv_cache_tokens: int = 16_384
