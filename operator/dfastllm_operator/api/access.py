"""Who reaches a service and who watches it: keys, limits, route, metrics, network policy."""

from ipaddress import ip_network
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dfastllm_operator.api.duration import Duration, seconds
from dfastllm_operator.api.names import Labels, NameRef, keys_rule
from dfastllm_operator.api.structure import Rule, Struct

_HOST = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$"
_GATEWAY = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

Rate = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,11}/(second|minute|hour|day)$", max_length=24),
]


class Auth(Struct):
    """Who may call."""

    api_keys_secret_ref: NameRef | None = Field(
        default=None,
        description="Secret with one API key per entry: the entry's name names the caller, its "
        "value is the key. Changes are taken up without a restart. Left out: no key is asked for.",
    )


class RateLimit(Struct):
    """How much one caller may ask of a replica; callers are API keys, else client addresses."""

    requests: Rate | None = Field(
        default=None,
        description="Requests per caller, for example `100/minute`; units are second, minute, "
        "hour and day. Left out: no limit.",
    )
    tokens: Rate | None = Field(
        default=None,
        description="Prompt plus answer tokens per caller, for example `20000/minute`. Left out: "
        "no limit.",
    )


class Ingress(Struct):
    """How the service is reached from outside of the cluster."""

    enabled: bool = Field(
        default=True, description="Make a route; false serves inside the cluster only."
    )
    gateway: Annotated[str, StringConstraints(pattern=_GATEWAY, max_length=317)] | None = Field(
        default=None,
        description="Gateway API gateway to attach to, as `NAMESPACE/NAME`. Left out: the "
        "operator's.",
    )
    hostname: Annotated[str, StringConstraints(pattern=_HOST, max_length=253)] | None = Field(
        default=None,
        description="Host name of the service. Left out: NAME-NAMESPACE and the operator's domain.",
    )
    timeout: Duration = Field(
        default="10m",
        description="Longest time for one request, streams included, for example `10m`.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "duration(self.timeout) >= duration('1s')",
            "ingress.timeout must be at least 1s",
            lambda ingress: seconds(ingress.timeout) >= 1,
            ".timeout",
        ),
    )

    @property
    def timeout_s(self) -> int:
        return seconds(self.timeout)


class Monitoring(Struct):
    """Whether Prometheus scrapes the pods."""

    enabled: bool = Field(
        default=False, description="Make a PodMonitor (needs the Prometheus operator)."
    )
    interval: Duration = Field(
        default="30s", description="How often the pods are scraped, for example `30s`."
    )
    labels: Labels = Field(
        default={},
        description="Labels of the PodMonitor, for Prometheus installations that select by label, "
        "for example `release: prometheus`. Left out: only the operator's.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        keys_rule("labels", "keys of monitoring.labels"),
        Rule(
            "duration(self.interval) >= duration('1s')",
            "monitoring.interval must be at least 1s",
            lambda monitoring: seconds(monitoring.interval) >= 1,
            ".interval",
        ),
    )


class Peer(Struct):
    """A source of traffic: pods by their labels and namespaces, or a network."""

    namespace_labels: Labels | None = Field(
        default=None,
        description="Labels of the namespaces the pods are in; `{}` is every namespace. Left out: "
        "the namespace of the service.",
    )
    pod_labels: Labels | None = Field(
        default=None, description="Labels of the pods. Left out: every pod."
    )
    cidr: Annotated[str, StringConstraints(min_length=4, max_length=49)] | None = Field(
        default=None, description="Network, for example `10.0.0.0/8`; instead of labels."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        keys_rule("namespace_labels", "keys of namespaceLabels"),
        keys_rule("pod_labels", "keys of podLabels"),
        Rule(
            "has(self.cidr) != (has(self.namespaceLabels) || has(self.podLabels))",
            "write either cidr, or namespaceLabels and podLabels or one of them",
            lambda peer: (
                (peer.cidr is None) != (peer.namespace_labels is None and peer.pod_labels is None)
            ),
        ),
        Rule(
            "!has(self.cidr) || (isCIDR(self.cidr) && cidr(self.cidr) == cidr(self.cidr).masked())",
            "cidr must be a network without host bits, for example 10.0.0.0/8",
            lambda peer: peer.cidr is None or _is_cidr(peer.cidr),
            ".cidr",
        ),
    )


class NetworkPolicy(Struct):
    """Who may open connections to the pods."""

    enabled: bool = Field(
        default=False,
        description="Make a NetworkPolicy that lets in the sources below, and nobody else.",
    )
    from_: Annotated[tuple[Peer, ...], Field(max_length=32)] = Field(
        default=(),
        description="Sources that may connect to the serving port, Prometheus among them; the "
        "namespace of the Gateway that serves the route always may, and the operator where it "
        "reads a canary's metrics from the pods; that of KServe's own ingress must be named. Left "
        "out: every pod of the namespace.",
    )


def _is_cidr(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return "/" in text
