"""`spec`: everything a user can ask for. What the server decides itself has no field here."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints, WithJsonSchema

from dfastllm_operator.api.access import Auth, Ingress, Monitoring, NetworkPolicy, RateLimit
from dfastllm_operator.api.decoding import Decoding, Strategy
from dfastllm_operator.api.duration import Duration, seconds
from dfastllm_operator.api.engine import Engine, Server
from dfastllm_operator.api.model import Model
from dfastllm_operator.api.names import ImageName, Labels, NameRef, ObjectName, keys_rule
from dfastllm_operator.api.pod import Env, Toleration, TopologySpread
from dfastllm_operator.api.quantity import Quantity
from dfastllm_operator.api.resources import Resources
from dfastllm_operator.api.rollout import Rollout
from dfastllm_operator.api.scaling import Autoscaling, Replicas, ScalerType
from dfastllm_operator.api.structure import MapList, Rule, Struct, matches
from dfastllm_operator.api.volume import Volume

_OWN_KEYS = (
    "^(dfastllm[.]io/|([a-z0-9-]+[.])*kserve[.]io/|app[.]kubernetes[.]io/)|^(app|component)$"
)
_OWN_ANNOTATIONS = (
    "^(dfastllm[.]io/|"
    "serving[.]kserve[.]io/(deploymentMode|autoscalerClass|storageSecretName|stop)$)"
)
_SCALED = {ScalerType.HPA, ScalerType.KEDA}

Annotations = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=32)
]
FreeObject = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]


class Spec(Struct):
    """What is wanted."""

    model: Model = Field(description="Which model is served.")
    image: ImageName | None = Field(
        default=None,
        description="Server image. Left out: the operator's at the time the revision is made; a "
        "newer operator does not restart running pods.",
    )
    decoding: Decoding = Field(
        default=Decoding(),
        description="How masks become tokens unless a request says otherwise, and what a request "
        "may ask for.",
    )
    engine: Engine = Field(
        default=Engine(), description="How much work a replica takes on, and how much may wait."
    )
    server: Server = Field(default=Server(), description="The HTTP side of a replica and its log.")
    resources: Resources = Field(
        default=Resources(),
        description="What a replica asks of its node. Left out: computed from the model; "
        "status.sizing shows how.",
    )
    node_selector: Labels = Field(
        default={}, description="Labels a node must have. Left out: none, or the GPU product's."
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = Field(
        default=(),
        description="Node taints the pods put up with. Left out: the GPU resource's own taint, "
        "when a GPU is asked for.",
    )
    affinity: FreeObject | None = Field(
        default=None, description="Affinity of the pods, as in a pod's spec. Left out: none."
    )
    topology_spread_constraints: Annotated[
        tuple[TopologySpread, ...], Field(max_length=8), MapList("topologyKey", "whenUnsatisfiable")
    ] = Field(
        default=(), description="How the replicas are spread over nodes or zones. Left out: freely."
    )
    priority_class_name: ObjectName | None = Field(
        default=None, description="PriorityClass of the pods. Left out: the cluster's default."
    )
    shm_size: Quantity | None = Field(
        default=None,
        description="Size of /dev/shm, in bytes, for example `2Gi`; counts as memory of the pod. "
        "Left out: the container runtime's 64Mi.",
    )
    termination_grace_period_seconds: int = Field(
        default=60,
        ge=1,
        le=86400,
        description="Seconds a pod that is stopped gets to finish its running answers.",
    )
    startup_timeout: Duration = Field(
        default="30m",
        description="Longest time from start of the container to ready, loading the model "
        "included, for example `30m`; then it is restarted.",
    )
    runtime_class_name: ObjectName | None = Field(
        default=None, description="RuntimeClass of the pods. Left out: the cluster's default."
    )
    service_account_name: ObjectName | None = Field(
        default=None,
        description="ServiceAccount of the pods. Left out: the operator makes one without rights.",
    )
    image_pull_secrets: Annotated[tuple[NameRef, ...], Field(max_length=16), MapList("name")] = (
        Field(default=(), description="Secrets for pulling images. Left out: the ServiceAccount's.")
    )
    pod_labels: Labels = Field(
        default={}, description="Labels of the pods, beside our own. Left out: only those."
    )
    pod_annotations: Annotations = Field(
        default={}, description="Annotations of the pods, beside our own. Left out: only those."
    )
    env: Annotated[tuple[Env, ...], Field(max_length=64), MapList("name")] = Field(
        default=(), description="Variables of the server's environment. Left out: only our own."
    )
    volumes: Annotated[tuple[Volume, ...], Field(max_length=32), MapList("name")] = Field(
        default=(), description="Volumes that the server sees. Left out: only our own."
    )
    auth: Auth = Field(default=Auth(), description="Who may call. Left out: everybody.")
    rate_limit: RateLimit = Field(
        default=RateLimit(), description="How much one caller may ask for. Left out: no limit."
    )
    replicas: Replicas = Field(default=Replicas(), description="How many pods serve.")
    autoscaling: Autoscaling = Field(
        default=Autoscaling(), description="Who decides on the number of replicas."
    )
    rollout: Rollout | None = Field(
        default=None,
        description="How a new revision takes over. Left out: pod by pod (RollingUpdate).",
    )
    ingress: Ingress = Field(
        default=Ingress(), description="How the service is reached from outside of the cluster."
    )
    monitoring: Monitoring = Field(
        default=Monitoring(), description="Whether Prometheus scrapes the pods."
    )
    network_policy: NetworkPolicy = Field(
        default=NetworkPolicy(), description="Who may open connections to the pods."
    )
    paused: bool = Field(
        default=False,
        description="Leave everything as it is: the operator changes nothing until this is false "
        "again.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.decoding.strategy) || self.decoding.strategy != 'apd' || "
            "(has(self.model.verifier) ? "
            "!has(self.model.verifier.name) || self.model.verifier.name != 'none' : "
            "self.model.uri.startsWith('builtin://'))",
            "decoding.strategy apd needs a verifier: set model.verifier.uri (or, for a model of "
            "Dream's layout, model.verifier.name to self), or choose another strategy",
            lambda spec: spec.decoding.strategy is not Strategy.APD or spec.model.verifies,
            ".decoding.strategy",
        ),
        Rule(
            "!(self.autoscaling.type in ['hpa', 'keda']) || has(self.replicas.max)",
            "autoscaling.type hpa and keda need replicas.max: set the most replicas you can pay "
            "for",
            lambda spec: spec.autoscaling.type not in _SCALED or spec.replicas.max is not None,
            ".replicas.max",
        ),
        Rule(
            "!has(self.replicas.max) || self.autoscaling.type in ['hpa', 'keda']",
            "replicas.max is for a scaler: set autoscaling.type to hpa or keda, or leave it out",
            lambda spec: spec.replicas.max is None or spec.autoscaling.type in _SCALED,
            ".replicas.max",
        ),
        Rule(
            "self.autoscaling.type != 'external' || self.replicas.min == 1",
            "with autoscaling.type external somebody else sets the replicas of the Deployment: "
            "leave replicas.min out",
            lambda spec: spec.autoscaling.type != ScalerType.EXTERNAL or spec.replicas.min == 1,
            ".replicas.min",
        ),
        Rule(
            "self.autoscaling.type != 'hpa' || self.replicas.min >= 1",
            "a HorizontalPodAutoscaler cannot start from 0: set replicas.min to 1 or more, or use "
            "autoscaling.type keda",
            lambda spec: spec.autoscaling.type != ScalerType.HPA or spec.replicas.min >= 1,
            ".replicas.min",
        ),
        Rule(
            "self.autoscaling.type != 'keda' || self.replicas.min >= 1 || "
            "(has(self.autoscaling.keda) && has(self.autoscaling.keda.query))",
            "with replicas.min 0 no pod is left to report its load: set autoscaling.keda.query to "
            "a metric that exists without pods (the gateway's requests), or replicas.min to 1",
            lambda spec: (
                spec.autoscaling.type != ScalerType.KEDA
                or spec.replicas.min >= 1
                or (spec.autoscaling.keda is not None and spec.autoscaling.keda.query is not None)
            ),
            ".replicas.min",
        ),
        Rule(
            "!has(self.replicas.max) || !has(self.autoscaling.keda) || "
            "!has(self.autoscaling.keda.fallbackReplicas) || "
            "self.autoscaling.keda.fallbackReplicas <= self.replicas.max",
            "autoscaling.keda.fallbackReplicas must not exceed replicas.max",
            lambda spec: (
                spec.autoscaling.keda is None
                or spec.replicas.max is None
                or (spec.autoscaling.keda.fallback_replicas or 0) <= spec.replicas.max
            ),
            ".autoscaling.keda.fallbackReplicas",
        ),
        Rule(
            "!has(self.volumes) || self.volumes.all(a, "
            "self.volumes.exists_one(b, b.mountPath == a.mountPath))",
            "two volumes have the same mountPath: give each its own",
            lambda spec: len({v.mount_path for v in spec.volumes}) == len(spec.volumes),
            ".volumes",
        ),
        Rule(
            f"!has(self.podLabels) || self.podLabels.all(key, !key.matches('{_OWN_KEYS}'))",
            "podLabels must not set labels of the operator, of KServe or app.kubernetes.io/: "
            "choose other keys",
            lambda spec: not any(matches(key, _OWN_KEYS) for key in spec.pod_labels),
            ".podLabels",
        ),
        Rule(
            f"!has(self.podAnnotations) || self.podAnnotations.all(key, "
            f"!key.matches('{_OWN_ANNOTATIONS}'))",
            "podAnnotations must not set dfastllm.io/ or what the operator tells KServe "
            "(deploymentMode, autoscalerClass, storageSecretName, stop): choose other keys",
            lambda spec: not any(matches(key, _OWN_ANNOTATIONS) for key in spec.pod_annotations),
            ".podAnnotations",
        ),
        keys_rule("pod_labels", "keys of podLabels"),
        keys_rule("pod_annotations", "keys of podAnnotations"),
        keys_rule("node_selector", "keys of nodeSelector"),
        Rule(
            "duration(self.startupTimeout) >= duration('10s')",
            "startupTimeout must be at least 10s",
            lambda spec: spec.startup_timeout_s >= 10,
            ".startupTimeout",
        ),
        Rule(
            "!has(self.rollout) || !has(self.rollout.drain) || !has(self.rollout.drain.timeout) || "
            "duration(self.rollout.drain.timeout).getMilliseconds() <= "
            "self.terminationGracePeriodSeconds * 1000",
            "rollout.drain.timeout must not exceed terminationGracePeriodSeconds: raise that one, "
            "which makes a new revision, or wait shorter",
            lambda spec: (
                spec.rollout is None
                or spec.rollout.drain.timeout is None
                or seconds(spec.rollout.drain.timeout) <= spec.termination_grace_period_seconds
            ),
            ".rollout.drain.timeout",
        ),
    )

    @property
    def startup_timeout_s(self) -> int:
        return seconds(self.startup_timeout)
