"""The custom resource DFastLLMService: models that are the one source of CRD and reference page."""

from dfastllm_operator.api.service import (
    POD_FIELDS,
    DFastLLMService,
    parse,
    pod_essence,
    pod_inputs,
    with_pod_inputs,
)
from dfastllm_operator.api.spec import Spec
from dfastllm_operator.api.status import Condition, Status

__all__ = [
    "POD_FIELDS",
    "Condition",
    "DFastLLMService",
    "Spec",
    "Status",
    "parse",
    "pod_essence",
    "pod_inputs",
    "with_pod_inputs",
]
