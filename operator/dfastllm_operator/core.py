"""The nouns that travel between observing, deciding, rendering and applying."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dfastllm_operator.kinds import Kind

Json = dict[str, Any]
"""An object as the API server speaks it."""


class Key(NamedTuple):
    """Which DFastLLMService."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Child:
    """An object as it is wanted: exactly the fields the operator owns, metadata included."""

    kind: Kind
    body: Json

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it was observed; of its managedFields only ours are kept."""

    kind: Kind
    body: Json

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the operator filled in for a revision when it was made.

    Kept with the revision, so that a newer operator, with other defaults or a better size table,
    restarts nothing. `former_names` are model names of revisions before, the latest first, which it
    answers to beside its own. `recorded_names` are those that were recorded with it, where they are
    others by now: of a record only notes can change.
    """

    image: str
    requests: Mapping[str, str]
    limits: Mapping[str, str]
    former_names: tuple[str, ...] = ()
    recorded_names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One set of pod-affecting inputs, and how it was rendered.

    `inputs` are the pod-affecting fields of the spec in the CR's own spelling, defaults included.
    """

    hash: str
    render_version: int
    inputs: Json
    resolved: Resolved


@dataclass(frozen=True, slots=True)
class Placement:
    """A revision in a slot with its share of the traffic, in percent.

    `weight` None: the route does not name it. `replicas` None: as many as the spec says, or as
    whoever scales decides.
    """

    slot: str
    revision: Revision
    weight: int | None
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class ReplicaRange:
    """What a scaler may choose from. With `steady` it may add replicas, and takes none away."""

    least: int
    most: int
    steady: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """What this cluster offers and how this operator was set up; the same for every CR.

    `gateway` is `namespace/name` of the Gateway for routes, or None for KServe's own ingress.
    `namespace` is the operator's own, None outside of a cluster.
    `missing` holds the optional kinds the API server does not serve now. `metrics_apis` are the
    served groups of `metrics.k8s.io`, `custom.metrics.k8s.io`, `external.metrics.k8s.io`.
    """

    server_image: str
    runtime: str
    gateway: str | None = None
    domain: str = "example.com"
    url_scheme: str = "http"
    cluster_domain: str = "cluster.local"
    namespace: str | None = None
    missing: frozenset[Kind] = frozenset()
    metrics_apis: frozenset[str] = frozenset()

    def serves(self, kind: Kind) -> bool:
        return kind not in self.missing
