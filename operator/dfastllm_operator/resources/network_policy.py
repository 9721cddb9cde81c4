"""Who may open connections to the pods. What they open themselves is not restricted."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService, Spec
from dfastllm_operator.api.access import Peer
from dfastllm_operator.api.rollout import AnalysisSource, RolloutStrategy
from dfastllm_operator.core import Child, Json, Platform
from dfastllm_operator.kinds import NETWORK_POLICY
from dfastllm_operator.resources.metadata import child, pod_selector
from dfastllm_operator.resources.route import own_gateway
from dfastllm_operator.serverconfig import PORT

NAMESPACE_NAME = "kubernetes.io/metadata.name"


def network_policy(service: DFastLLMService, platform: Platform) -> Child | None:
    """The listed sources, else the whole namespace; and who else a service cannot do without.

    That is the namespace of our route's Gateway, and the operator where it reads the metrics of a
    canary from the pods.
    """
    if not service.spec.network_policy.enabled:
        return None
    peers = [_peer(peer) for peer in service.spec.network_policy.from_]
    if not peers:
        peers = [{"podSelector": {}}]
    gateway = own_gateway(service.spec, platform)
    if gateway is not None:
        namespace = gateway.partition("/")[0]
        peers.append({"namespaceSelector": _labels({NAMESPACE_NAME: namespace})})
    if platform.namespace is not None and _is_scraped(service.spec):
        peers.append(
            {
                "namespaceSelector": _labels({NAMESPACE_NAME: platform.namespace}),
                "podSelector": _labels(names.OPERATOR),
            }
        )
    return child(
        service,
        NETWORK_POLICY,
        names.dns_label(service.name),
        {
            "spec": {
                "podSelector": pod_selector(service),
                "policyTypes": ["Ingress"],
                "ingress": [{"from": peers, "ports": [{"protocol": "TCP", "port": PORT}]}],
            }
        },
    )


def _is_scraped(spec: Spec) -> bool:
    asked = spec.rollout
    return (
        asked is not None
        and asked.strategy is RolloutStrategy.CANARY
        and asked.analysis.source is AnalysisSource.SCRAPE
    )


def _peer(peer: Peer) -> Json:
    """An empty selector selects everything; one that is left out is the namespace of the policy."""
    if peer.cidr is not None:
        return {"ipBlock": {"cidr": peer.cidr}}
    found: Json = {}
    if peer.namespace_labels is not None:
        found["namespaceSelector"] = _labels(peer.namespace_labels)
    if peer.pod_labels is not None:
        found["podSelector"] = _labels(peer.pod_labels)
    return found


def _labels(labels: dict[str, str]) -> Json:
    return {"matchLabels": labels} if labels else {}
