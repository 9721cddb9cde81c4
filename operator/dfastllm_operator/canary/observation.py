"""What a decision on a rollout looks at: the two slots, the route, orders and the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dfastllm_operator.canary.lingering import Going
from dfastllm_operator.gates.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Running:
    """Requests on a slot as its pods told them, and how many pods did not answer."""

    requests: int = 0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class SlotSeen:
    """A slot as it is in the cluster.

    `revision` is the hash its InferenceService was applied with, "" when there is none. `wanted`
    are the replicas its Deployment asks for, `pods` its pods that are not on their way out,
    `ready_pods` those of them that are ready, `ready` those that gateways know to be: its ready
    endpoints. `gpus_each` are the most GPUs that a pod has, or that the next one is made with: of
    two revisions while one takes the other's place. `leaving` are the pods on their way out, with
    `gpus_leaving`; `going` says which they are. Pods that have ended count nowhere. `running` are
    the requests on the slot, None when nobody was asked; `unanswered` pods did not tell theirs.
    `symptom` says why a pod is not ready, in words; `hopeless` that waiting does not mend it.
    `refused` are the words of the quota that leaves no room for one more pod, "" when none does.
    `stopped`: its Deployment asks for no pod. `unready_since` is when the last of its pods stopped
    being ready, None when nobody knows.
    """

    revision: str = ""
    wanted: int = 0
    ready: int = 0
    ready_pods: int = 0
    pods: int = 0
    leaving: int = 0
    gpus_each: int = 0
    gpus_leaving: int = 0
    going: tuple[Going, ...] = ()
    running: int | None = 0
    unanswered: int = 0
    symptom: str = ""
    hopeless: bool = False
    refused: str = ""
    stopped: bool = False
    unready_since: datetime | None = None

    @property
    def empty(self) -> bool:
        return not self.revision and not self.pods and not self.leaving


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """The route as it is in the cluster.

    `weights` by slot are those of its spec. `current`: its controller has accepted exactly this
    generation.
    """

    weights: Mapping[str, int]
    current: bool


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why there can be no canary now. `reason` is a CamelCase word, `message` says what to do."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Order:
    """A person's wish, from an annotation `REVISION/NONCE`.

    For another revision it is void, and so it is without a nonce: given again, it would look like
    the one that was handled.
    """

    revision: str
    nonce: str

    def __str__(self) -> str:
        return f"{self.revision}/{self.nonce}"


@dataclass(frozen=True, slots=True)
class Orders:
    """The annotations as they stand; those that were carried out before are in the status."""

    promote: Order | None = None
    abort: Order | None = None
    retry: Order | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The world as one decision sees it.

    `wanted` is the hash of what the spec asks for. `serving` is the slot and revision that serve
    when no status says so: after an upgrade, or when the status was lost. `served` is the revision
    that was complete last, all its pods ready. `gpus` are the GPUs of
    one replica by revision. `address` is the slot that the address inside the cluster leads to, ""
    when to none. `obstacles` are what a canary lacks, but for room. `frozen` is
    `spec.paused`, `paused_since` when it was set, while the status still says so and the spec does
    not any more. `scaler_healthy` None: there is none, or it has not said.
    """

    wanted: str
    slots: Mapping[str, SlotSeen] = field(default_factory=dict)
    route: RouteSeen | None = None
    address: str = ""
    serving: tuple[str, str] | None = None
    served: str = ""
    gpus: Mapping[str, int] = field(default_factory=dict)
    obstacles: tuple[Obstacle, ...] = ()
    orders: Orders = Orders()
    measurement: Measurement | None = None
    scaler_healthy: bool | None = None
    frozen: bool = False
    paused_since: datetime | None = None

    def slot(self, slot: str) -> SlotSeen:
        return self.slots.get(slot, SlotSeen())
