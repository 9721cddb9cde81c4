"""Every kind of object the operator touches, named once.

RBAC, the watches, the API paths and the discovery of optional CRDs all follow this table.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A namespaced kind of the API server.

    `install` is empty for kinds every cluster has. For the others it says, in words for a user,
    what brings the kind: their absence is a condition, never a crash.
    """

    group: str
    version: str
    kind: str
    plural: str
    install: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self) -> str:
        """Path of the group and version, as `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def optional(self) -> bool:
        return bool(self.install)

    def __str__(self) -> str:
        return self.kind


SERVICE_RESOURCE = Kind("dfastllm.io", "v1alpha1", "DFastLLMService", "dfastllmservices")

CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
SERVICE = Kind("", "v1", "Service", "services")
POD = Kind("", "v1", "Pod", "pods")
SECRET = Kind("", "v1", "Secret", "secrets")
EVENT = Kind("", "v1", "Event", "events")
CONTROLLER_REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
HPA = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")

INFERENCE_SERVICE = Kind(
    "serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices", install="KServe"
)
SERVING_RUNTIME = Kind(
    "serving.kserve.io", "v1alpha1", "ServingRuntime", "servingruntimes", install="KServe"
)
HTTP_ROUTE = Kind(
    "gateway.networking.k8s.io",
    "v1",
    "HTTPRoute",
    "httproutes",
    install="the Gateway API (gateway.networking.k8s.io/v1)",
)
SCALED_OBJECT = Kind("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects", install="KEDA")
POD_MONITOR = Kind(
    "monitoring.coreos.com",
    "v1",
    "PodMonitor",
    "podmonitors",
    install="the Prometheus operator",
)

OWNED = (
    CONTROLLER_REVISION,
    CONFIG_MAP,
    SERVICE_ACCOUNT,
    INFERENCE_SERVICE,
    SERVICE,
    HTTP_ROUTE,
    HPA,
    SCALED_OBJECT,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    POD_MONITOR,
)
"""Kinds the operator writes, in the order in which they are applied."""

READ_ONLY = (DEPLOYMENT, POD, ENDPOINT_SLICE)
"""Kinds made by KServe and Kubernetes from ours; they say how far a rollout is, why it waits, and
who gets requests.
"""

WATCHED = OWNED + READ_ONLY
