"""Node drains take one replica at a time, where there is more than one."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child
from dfastllm_operator.kinds import DISRUPTION_BUDGET
from dfastllm_operator.resources.metadata import child, pod_selector


def disruption_budget(service: DFastLLMService) -> Child | None:
    """None for a service that never has two replicas. Pods that do not serve may go."""
    replicas = service.spec.replicas
    if max(replicas.min, replicas.max or 0) < 2:
        return None
    return child(
        service,
        DISRUPTION_BUDGET,
        names.dns_label(service.name),
        {
            "spec": {
                "maxUnavailable": 1,
                "selector": pod_selector(service),
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            }
        },
    )
