"""`spec.engine` and `spec.server`: capacity and the HTTP side, in the server's own names.

A contract test holds names, bounds and defaults of the engine equal to the server's settings.
"""

from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dfastllm_operator.api.model import Dtype
from dfastllm_operator.api.structure import Rule, Struct

Network = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", min_length=2, max_length=49)
]


class Quantization(StrEnum):
    """Number format the weights are reduced to."""

    NONE = "none"  # as they are; the server of this version has no other


class LogLevel(StrEnum):
    """Least severity that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks."""

    AUTO = "auto"  # JSON in a pod
    JSON = "json"
    CONSOLE = "console"


class Engine(Struct):
    """How much work a replica takes on at once, and how much may wait."""

    max_running_requests: int = Field(
        default=8, ge=1, description="Answers computed together in a step, per replica."
    )
    max_queued_requests: int = Field(
        default=256,
        ge=0,
        description="Answers that may wait, per replica; more are refused with 503.",
    )
    max_queued_tokens: int = Field(
        default=262144,
        ge=1,
        description="Prompt and answer tokens that may wait, per replica; more are refused with "
        "503.",
    )
    max_requests_per_key: int | None = Field(
        default=None,
        ge=1,
        description="Answers one caller may have running or waiting, per replica; more are "
        "refused with 429. Left out: only the whole is bounded.",
    )
    max_step_tokens: int = Field(
        default=8192,
        ge=1,
        description="Positions fed to the model in one step, in tokens over all answers.",
    )
    kv_cache_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Size of the K/V cache, in tokens. Left out: what memoryFraction leaves.",
    )
    memory_fraction: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Share of the device memory the server may use, above 0 and up to 1.",
    )
    request_timeout_s: float | None = Field(
        default=None,
        gt=0,
        description="Longest time for one request, in seconds. Left out: no limit but "
        "ingress.timeout.",
    )
    max_model_len: int | None = Field(
        default=None,
        ge=2,
        description="Longest prompt plus answer, in tokens. Left out: the model's own.",
    )
    dtype: Dtype = Field(
        default=Dtype.AUTO,
        description="Number format of the weights in memory; `auto` takes the checkpoint's on a "
        "GPU.",
    )
    num_threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads computing on a CPU. Left out: one per core the pod may use.",
    )
    quantization: Quantization = Field(
        default=Quantization.NONE,
        description="Reduced number format of the weights; the server of this version (0.1) has "
        "`none` only.",
    )


class Server(Struct):
    """The HTTP side of a replica and its log."""

    log_level: LogLevel = Field(
        default=LogLevel.INFO, description="Least severity that the server writes to its log."
    )
    log_format: LogFormat = Field(
        default=LogFormat.AUTO, description="How log lines look; `auto` is JSON in a pod."
    )
    log_prompts: bool = Field(
        default=False,
        description="Write prompts and answers to the log, at level debug. They are personal "
        "data more often than not.",
    )
    cors_origins: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=256)], ...],
        Field(max_length=32),
    ] = Field(
        default=(),
        description="Origins that browsers may call from, `*` for any. Left out: none.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], Field(max_length=32)] = Field(
        default=(),
        description="Networks whose X-Forwarded-For is believed, for example `10.0.0.0/8`: the "
        "pods of your gateway, so that rate limits without API keys see the caller. Left out: "
        "none.",
    )
    max_body_bytes: int = Field(
        default=10 * 1024 * 1024,
        ge=1,
        description="Largest request body, in bytes; more is refused with 413.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.trustedProxies) || self.trustedProxies.all(p, "
            "isCIDR(p) ? cidr(p) == cidr(p).masked() : isIP(p))",
            "server.trustedProxies holds addresses or networks without host bits, for example "
            "10.0.0.0/8 or 10.1.2.3",
            lambda server: all(_is_network(proxy) for proxy in server.trusted_proxies),
            ".trustedProxies",
        ),
    )


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
