"""Everything an operator can set, once: flags, environment, file, reference page and CR follow it.

A setting has one leaf name that is unique over all sections, so it is `--leaf-name` on the command
line, `DFASTLLM_LEAF_NAME` in the environment and `section: {leaf_name: ...}` in the file. Where
the values come from is `settings_sources`; how they are shown is `settings_docs`; `decoding` has a
module of its own. Only entry points read settings: the layers below receive the few values that
concern them.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic.networks import IPvAnyNetwork
from pydantic_settings import BaseSettings, SettingsConfigDict

from dfastllm.settings_decoding import DecodingSection
from dfastllm.settings_section import Section, one_or_many

OFF_WORDS = frozenset({"", "0", "off", "none", "null"})

camel_name = to_camel
"""The spelling of a setting in the custom resource; the file knows snake_case only."""


def _off_is_none(value: object) -> object:
    """People switch things off by writing 0, off or nothing at all."""
    if isinstance(value, str) and value.strip().lower() in OFF_WORDS:
        return None
    return None if value == 0 and not isinstance(value, bool) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _rate(value: str | None) -> str | None:
    if value is None:
        return None
    from limits import parse

    try:
        parse(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is not a rate; write COUNT/PERIOD, for example 100/minute or 5/second"
        ) from None
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(one_or_many)]
OptionalSeconds = Annotated[float | None, BeforeValidator(_off_is_none)]
Rate = Annotated[str | None, BeforeValidator(_off_is_none)]


class ModelSection(Section):
    """Which model is served, and under which names."""

    model: str = Field(
        default="builtin:tiny",
        min_length=1,
        description="Built-in model (`builtin:NAME`), directory, or Hugging Face hub id.",
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of a hub model.")
    tokenizer: str | None = Field(
        default=None,
        description="Directory or hub id of the tokenizer; the model's own when left out.",
    )
    verifier: str | None = Field(
        default=None,
        min_length=1,
        description="Causal model that strategy `apd` asks: built-in, directory or hub id; `self` "
        "reads the model itself causally, `none` is none. Left out: the one that a built-in model "
        "brings, or the network that reads the model's context.",
    )
    served_model_name: Names = Field(
        default=(),
        description="Names clients may use, comma separated; the first is the one answers carry. "
        "Left out: the InferenceService's name in KServe, else derived from the model.",
    )
    kserve_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name in KServe's own protocols (`/v1/models/NAME:predict`), without slashes, "
        "and the metrics' `model_name`. Left out: derived from the first served name, which the "
        "metrics then tell.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Number format of the weights; auto takes the checkpoint's on a GPU, and on a "
        "CPU bfloat16 where it is the checkpoint's and the processor has instructions for it, else "
        "float32.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the model runs; auto takes the GPU when there is one."
    )
    num_threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads computing on a CPU; one per core it may use if left out.",
    )
    max_model_len: int | None = Field(
        default=None,
        ge=2,
        description="Longest prompt plus answer, in tokens; the model's own if left out.",
    )
    trust_remote_code: bool = Field(
        default=False,
        description="Always false: code shipped with a checkpoint is never executed. The model "
        "families are implemented here.",
    )

    @field_validator("trust_remote_code")
    @classmethod
    def _never(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "code shipped with a checkpoint is never executed by this server; "
                "supported families need none, leave it false"
            )
        return value

    @property
    def served_names(self) -> tuple[str, ...]:
        return self.served_model_name or (_name_of(self.model),)

    @property
    def kserve_model_name(self) -> str:
        return self.kserve_name or re.sub(r"[^A-Za-z0-9._-]+", "-", self.served_names[0]).strip("-")

    @property
    def metrics_name(self) -> str:
        """The same for all revisions of a service, whatever names each of them is served under."""
        return self.kserve_name or self.served_names[0]


class EngineSection(Section):
    """How much work is taken on at once, and how much may wait."""

    max_running_requests: int = Field(
        default=8, ge=1, description="Answers computed together in a step."
    )
    max_queued_requests: int = Field(
        default=256, ge=0, description="Answers that may wait; more are refused with 503."
    )
    max_queued_tokens: int = Field(
        default=262144,
        ge=1,
        description="Prompt and answer tokens that may wait; more are refused.",
    )
    max_requests_per_key: int | None = Field(
        default=None,
        ge=1,
        description="Answers one caller may have running or waiting; more are refused with 429. "
        "Left out: only the whole is bounded.",
    )
    max_step_tokens: int = Field(
        default=8192, ge=1, description="Positions fed to the model in one step, over all answers."
    )
    kv_cache_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Size of the K/V cache in tokens; from memory_fraction if left out.",
    )
    memory_fraction: float = Field(
        default=0.9, gt=0, le=1, description="Share of the device memory the server may use."
    )
    request_timeout_s: OptionalSeconds = Field(
        default=None,
        gt=0,
        description="Longest time for one request, in seconds; 0 or left out: no limit.",
    )


class ServerSection(Section):
    """The HTTP side."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on; 0.0.0.0 when left out in Kubernetes.",
    )
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    plain: bool = Field(
        default=False,
        description="Serve without KServe: no V1 and V2 protocols, and a faster start.",
    )
    root_path: str = Field(
        default="", description="Path prefix that a proxy in front strips, for example `/llm`."
    )
    cors_origin: Names = Field(
        default=(), description="Origins browsers may call from; `*` for any."
    )
    tls_cert: Path | None = Field(default=None, description="PEM file with the certificate chain.")
    tls_key: Path | None = Field(default=None, description="PEM file with the certificate's key.")
    grace_period_s: float = Field(
        default=30.0, ge=0, description="Seconds running answers get to finish after SIGTERM."
    )
    keepalive_s: float = Field(
        default=15.0,
        gt=0,
        description="Longest silence of a stream before a comment line, in seconds.",
    )
    idle_timeout_s: int = Field(
        default=75,
        ge=1,
        description="Seconds an idle connection stays open; longer than the proxy's.",
    )
    max_connections: int = Field(
        default=8192, ge=1, description="Open connections; one more gets 503 from the socket layer."
    )
    max_body_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1, description="Largest request body, in bytes; more is a 413."
    )
    max_n: int = Field(default=16, ge=1, le=128, description="Most answers per prompt (`n`).")
    max_logprobs: int = Field(
        default=20, ge=0, description="Most alternatives per token in `logprobs`."
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(one_or_many)] = Field(
        default=(),
        description="Networks whose X-Forwarded-For is believed, for example `10.0.0.0/8`.",
    )
    access_log: bool = Field(default=True, description="One log line per request.")

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(str(network)) for network in self.trusted_proxies)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together; only one of them is set")
        return self


class AuthSection(Section):
    """Who may call."""

    api_keys_file: Path | None = Field(
        default=None,
        description="API keys: a YAML mapping `name: key`, lines `name=key`, or a directory with "
        "one file per key (a mounted Secret). Read again when it changes. Left out: no keys.",
    )


class RateLimitSection(Section):
    """How much one caller may ask for; callers are API keys, without keys client addresses."""

    request_rate: Rate = Field(
        default=None,
        description="Requests per caller, for example `100/minute`; 0 or left out: no limit.",
    )
    token_rate: Rate = Field(
        default=None,
        description="Prompt plus answer tokens per caller, for example `20000/minute`.",
    )

    _is_rate = field_validator("request_rate", "token_rate")(_rate)


class LogSection(Section):
    """What is written to standard error."""

    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, JSON lines elsewhere."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        Field(default="info", description="Least severity that is written.")
    )
    log_prompts: bool = Field(
        default=False, description="Write prompts and answers at level debug."
    )


class Settings(BaseSettings):
    """The effective settings, frozen. Build them with `settings_sources.load`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    model: ModelSection = Field(default_factory=ModelSection)
    engine: EngineSection = Field(default_factory=EngineSection)
    decoding: DecodingSection = Field(default_factory=DecodingSection)
    server: ServerSection = Field(default_factory=ServerSection)
    auth: AuthSection = Field(default_factory=AuthSection)
    rate_limit: RateLimitSection = Field(default_factory=RateLimitSection)
    log: LogSection = Field(default_factory=LogSection)


def sections() -> dict[str, type[Section]]:
    """Section name to its model, in reading order."""
    found: dict[str, type[Section]] = {}
    for name, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)
        assert issubclass(info.annotation, Section)
        found[name] = info.annotation
    return found


def leaves() -> Iterator[tuple[str, str, FieldInfo]]:
    """Every setting as (section, leaf, field)."""
    for section, model in sections().items():
        for leaf, info in model.model_fields.items():
            yield section, leaf, info


def default_of(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=True)


def _name_of(model: str) -> str:
    """A name for clients: a hub id is one already, of a path only the last part is shown."""
    if model.startswith("builtin:"):
        return model.removeprefix("builtin:").removeprefix("//")
    if model.startswith(("/", ".", "~")):
        return Path(model).expanduser().resolve().name or "model"
    return model
