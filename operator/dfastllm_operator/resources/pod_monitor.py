"""Tells the Prometheus operator to scrape the pods."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child
from dfastllm_operator.kinds import POD_MONITOR
from dfastllm_operator.resources.metadata import child, pod_selector
from dfastllm_operator.resources.pod_v1 import PORT_NAME


def pod_monitor(service: DFastLLMService) -> Child | None:
    """Of pods, not of a Service: every replica counts, in whichever slot."""
    monitoring = service.spec.monitoring
    if not monitoring.enabled:
        return None
    return child(
        service,
        POD_MONITOR,
        names.dns_label(service.name),
        {
            "spec": {
                "selector": pod_selector(service),
                "podTargetLabels": [names.SERVICE_LABEL, names.REVISION_LABEL],
                "podMetricsEndpoints": [
                    {"port": PORT_NAME, "path": "/metrics", "interval": monitoring.interval}
                ],
            }
        },
        labels=monitoring.labels,
    )
