"""Version 2 of a pod's rendering: version 1, and a verifier beside the model. Never changed."""

from dataclasses import replace

from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Revision
from dfastllm_operator.places import brought
from dfastllm_operator.resources import pod_v1
from dfastllm_operator.resources.pod import RenderedPod


def render(service: DFastLLMService, revision: Revision) -> RenderedPod:
    """`service.spec` holds the inputs of `revision`."""
    pod = pod_v1.render(service, revision)
    both = brought(service.spec)
    return replace(pod, storage_uri=None, storage_uris=tuple(both)) if both else pod
