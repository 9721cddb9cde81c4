"""Who may open connections to the pods. What they open themselves is not restricted."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.api.access import Peer
from dfastllm_operator.core import Child, Json, Platform
from dfastllm_operator.kinds import NETWORK_POLICY
from dfastllm_operator.resources.metadata import child, pod_selector
from dfastllm_operator.resources.route import own_gateway
from dfastllm_operator.serverconfig import PORT

NAMESPACE_NAME = "kubernetes.io/metadata.name"


def network_policy(service: DFastLLMService, platform: Platform) -> Child | None:
    """The listed sources, else the whole namespace; and the namespace of our route's Gateway."""
    if not service.spec.network_policy.enabled:
        return None
    peers = [_peer(peer) for peer in service.spec.network_policy.from_]
    if not peers:
        peers = [{"podSelector": {}}]
    gateway = own_gateway(service.spec, platform)
    if gateway is not None:
        namespace = gateway.partition("/")[0]
        peers.append({"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}}})
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
