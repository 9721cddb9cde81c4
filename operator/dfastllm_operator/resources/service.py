"""The address inside the cluster: one Service of the CR's name that follows the serving slot."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child
from dfastllm_operator.kinds import SERVICE
from dfastllm_operator.resources.metadata import child
from dfastllm_operator.serverconfig import PORT

SERVICE_PORT = 80


def service_of(service: DFastLLMService, serving: str) -> Child:
    predictor = names.predictor(service.name, service.namespace, serving)
    return child(
        service,
        SERVICE,
        names.dns_label(service.name),
        {
            "spec": {
                "type": "ClusterIP",
                "selector": {"app": names.app_label(predictor)},
                "ports": [
                    {"name": "http", "port": SERVICE_PORT, "targetPort": PORT, "protocol": "TCP"}
                ],
            }
        },
    )
