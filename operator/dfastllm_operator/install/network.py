"""How the operator's metrics are reached: a Service, and the optional monitor and policy."""

from dfastllm_operator import kinds
from dfastllm_operator.core import Json
from dfastllm_operator.install.deployment import PORT, PORT_NAME
from dfastllm_operator.install.identity import NAME, SELECTOR, metadata

METRICS = f"{NAME}-metrics"


def metrics_service() -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(METRICS),
        "spec": {
            "selector": SELECTOR,
            "ports": [
                {"name": "metrics", "port": PORT, "targetPort": PORT_NAME, "protocol": "TCP"}
            ],
        },
    }


def pod_monitor() -> Json:
    """For the Prometheus operator: every replica is scraped, the waiting ones too."""
    return {
        "apiVersion": kinds.POD_MONITOR.api_version,
        "kind": kinds.POD_MONITOR.kind,
        "metadata": metadata(NAME),
        "spec": {
            "selector": {"matchLabels": SELECTOR},
            "podMetricsEndpoints": [{"port": PORT_NAME, "path": "/metrics", "interval": "30s"}],
        },
    }


def network_policy() -> Json:
    """Lets in whoever scrapes metrics, in any namespace, and nobody else.

    A node's probes of its own pods pass every policy. What goes out is left alone: the address of
    the API server differs from cluster to cluster, and canaries are measured in any namespace.
    """
    return {
        "apiVersion": kinds.NETWORK_POLICY.api_version,
        "kind": kinds.NETWORK_POLICY.kind,
        "metadata": metadata(NAME),
        "spec": {
            "podSelector": {"matchLabels": SELECTOR},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": {}}],
                    "ports": [{"port": PORT_NAME, "protocol": "TCP"}],
                }
            ],
        },
    }
