"""Everything that can be set on the operator, once: flags and environment follow it.

A setting is `--leaf-name` on the command line and `DFASTLLM_OPERATOR_LEAF_NAME` in the environment;
flags go first. Only `app` and the command line read settings: everything below receives the few
values that concern it. Every time-out is a setting, since tests run them at a tenth.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dfastllm_operator import __version__

PREFIX = "DFASTLLM_OPERATOR_"
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_DNS_NAME = rf"^{_DNS_LABEL}(\.{_DNS_LABEL})*$"

# Kubernetes gives them to every pod beside a Service called dfastllm-operator.
_SERVICE_LINK = re.compile(r"^(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$")

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class SettingsError(Exception):
    """Settings that cannot be used; one line per mistake."""


def _one_or_many(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Settings(BaseSettings):
    """How this operator is set up."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", validate_default=True
    )

    namespaces: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_one_or_many)] = Field(
        default=(),
        description="Namespaces to serve, comma separated; all of them if left out. With "
        "namespaces the operator needs no cluster-wide permission.",
    )
    kubeconfig: str = Field(
        default="",
        description="Kubeconfig file; left out: $KUBECONFIG, the pod's account, ~/.kube/config.",
    )
    server_image: str = Field(
        default=f"dfastllm-server:{__version__}",
        pattern=r"^\S+$",
        description="Image of the model server for services that name none; put your registry "
        "before it.",
    )
    runtime: str = Field(
        default="dfastllm-operator",
        pattern=_DNS_NAME,
        description="KServe (Cluster)ServingRuntime that services refer to.",
    )
    gateway: str = Field(
        default="",
        pattern=rf"^$|^{_DNS_LABEL}/{_DNS_LABEL}(\.{_DNS_LABEL})*$",
        description="Gateway that routes attach to, as namespace/name; left out: KServe's ingress.",
    )
    domain: str = Field(
        default="example.com",
        pattern=_DNS_NAME,
        description="Domain of the hostnames that services get.",
    )
    url_scheme: Literal["http", "https"] = Field(
        default="http", description="Scheme of the URLs in status; https if the Gateway ends TLS."
    )
    cluster_domain: str = Field(
        default="cluster.local", pattern=_DNS_NAME, description="DNS domain of the cluster."
    )

    leader_elect: bool = Field(
        default=True, description="Work only while holding the Lease; needed with two replicas."
    )
    lease_name: str = Field(
        default="dfastllm-operator", pattern=_DNS_NAME, description="Name of the Lease."
    )
    lease_namespace: str = Field(
        default="", description="Namespace of the Lease; left out: the one of this pod."
    )
    lease_duration_s: Seconds = Field(
        default=15, description="How long others wait for a leader that does not renew."
    )
    renew_deadline_s: Seconds = Field(
        default=10, description="How long the leader goes on without being able to renew."
    )
    retry_period_s: Seconds = Field(default=2, description="Pace of renewing and of trying.")

    workers: int = Field(default=4, ge=1, le=64, description="Services reconciled at once.")
    rest_s: float = Field(
        default=0.05,
        ge=0,
        le=60,
        description="Least time between two reconciles of one service, in seconds.",
    )
    backoff_base_s: Seconds = Field(
        default=0.5, description="Wait after the first failure of a service; it doubles each time."
    )
    backoff_cap_s: Seconds = Field(default=60, description="Longest wait after failures.")
    max_writes_per_s: float = Field(
        default=500, gt=0, description="Writes to the API server over all services."
    )
    resync_s: Seconds = Field(
        default=600, description="Pace of reconciling every service and of listing everything anew."
    )
    recheck_s: Seconds = Field(
        default=15,
        description="Pace of looking again at what no watch reports, as a Secret that is missing.",
    )
    discovery_s: Seconds = Field(
        default=30, description="Pace of asking which optional kinds the cluster serves."
    )

    request_timeout_s: Seconds = Field(default=10, description="Longest request.")
    connect_timeout_s: Seconds = Field(default=5, description="Longest wait for a connection.")
    watch_timeout_s: Seconds = Field(
        default=300,
        description="How long the API server is asked to keep a watch open; never more than four "
        "fifths of watch_inactivity_s.",
    )
    watch_inactivity_s: Seconds = Field(
        default=70,
        description="A watch without a sign of life for so long is opened anew.",
    )
    watch_silent_s: Seconds = Field(
        default=120, description="Not alive any more if a watch brings nothing for so long."
    )
    queue_stuck_s: Seconds = Field(
        default=120, description="Not alive any more if services are due and none is finished."
    )
    outage_s: Seconds = Field(
        default=300,
        description="Errors of the API server that are sat out before the process starts afresh.",
    )
    shutdown_s: Seconds = Field(
        default=5, description="Time that reconciles under way get to finish at SIGTERM."
    )

    health_host: str = Field(
        default="", description="Address of the health and metrics port; left out: all."
    )
    health_port: int = Field(
        default=8081,
        ge=0,
        le=65_535,
        description="Port of /livez, /readyz and /metrics; 0 takes a free one.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto is console on a terminal and JSON elsewhere."
    )
    hub_endpoint: str = Field(
        default="https://huggingface.co",
        pattern=r"^(none)?$|^https?://",
        description="Where config.json of hf:// models is read for sizing; none: never asked.",
    )
    hub_timeout_s: Seconds = Field(default=10, description="Longest wait for the hub.")

    @field_validator("namespaces")
    @classmethod
    def _namespaces_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(_DNS_LABEL, name):
                raise ValueError(f"{name!r} is no name of a namespace")
        return tuple(dict.fromkeys(value))

    @field_validator("hub_endpoint")
    @classmethod
    def _no_slash_at_the_end(cls, value: str) -> str:
        return value.rstrip("/")

    @model_validator(mode="after")
    def _the_lease_can_be_kept(self) -> Self:
        if not self.retry_period_s < self.renew_deadline_s < self.lease_duration_s:
            raise ValueError(
                "retry_period_s must be below renew_deadline_s, and that below lease_duration_s: "
                "a leader gives up before others take over"
            )
        if self.backoff_base_s > self.backoff_cap_s:
            raise ValueError("backoff_base_s must not exceed backoff_cap_s")
        return self

    @property
    def stream_s(self) -> float:
        """How long one watch is kept open.

        API servers promise no bookmark, and send none for a kind of which nothing ever changed. So
        it is the end of the stream that has to be the sign of life of an idle one.
        """
        return min(self.watch_timeout_s, 0.8 * self.watch_inactivity_s)

    @property
    def hub(self) -> str | None:
        return self.hub_endpoint if self.hub_endpoint.startswith("http") else None

    @property
    def scopes(self) -> tuple[str | None, ...]:
        """What to list and watch: each namespace, or None for the whole cluster."""
        return self.namespaces or (None,)


def load(flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from `flags` (leaf name to value, None as if not given) and the environment."""
    unknown = [name for name in os.environ if name.startswith(PREFIX) and not _known(name)]
    if unknown:
        raise SettingsError("\n".join(f"{name}: no such setting" for name in sorted(unknown)))
    given = {leaf: value for leaf, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(error))) from None


def _known(variable: str) -> bool:
    leaf = variable.removeprefix(PREFIX)
    return leaf.lower() in Settings.model_fields or _SERVICE_LINK.match(leaf) is not None


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for mistake in error.errors(include_url=False, include_context=False):
        leaf = str(mistake["loc"][0]) if mistake["loc"] else ""
        text = mistake["msg"].removeprefix("Value error, ")
        named = f"--{leaf.replace('_', '-')} ({PREFIX}{leaf.upper()}): " if leaf else ""
        got = f", not {mistake['input']!r}" if leaf else ""
        lines.append(f"{named}{text}{got}")
    return lines
