"""Versions of rendering a pod. Old ones stay for ever, so a new operator restarts no workload.

A revision keeps the number of the version it was made with. Whoever has to change what ends in a
pod's template copies `pod_v1` and what it calls to a new version and moves `CURRENT`.
"""

from collections.abc import Callable, Mapping

from dfastllm_operator.api import DFastLLMService, with_pod_inputs
from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Revision
from dfastllm_operator.errors import Refuse
from dfastllm_operator.resources import pod_v1
from dfastllm_operator.resources.pod import RenderedPod

CURRENT = 1

RENDER_VERSIONS: Mapping[int, Callable[[DFastLLMService, Revision], RenderedPod]] = {
    1: pod_v1.render,
}


def render_pod(service: DFastLLMService, revision: Revision) -> RenderedPod:
    """The pod of `revision`, from its recorded inputs; other fields of `service` do not matter."""
    version = RENDER_VERSIONS.get(revision.render_version)
    if version is None:
        raise Refuse(
            Reason.INVALID_SPEC,
            f"revision {revision.hash} was made by a newer operator (render version "
            f"{revision.render_version}, this one knows up to {max(RENDER_VERSIONS)}); "
            "run that operator again, or edit the service for a revision of this one's.",
        )
    spec = with_pod_inputs(service.spec, revision.inputs)
    return version(service.with_spec(spec), revision)
