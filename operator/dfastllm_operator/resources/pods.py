"""Versions of rendering a pod. Old ones stay for ever, so a new operator restarts no workload.

A revision keeps the number of the version it was made with. Whoever has to change what ends in a
pod's template copies the newest version and what it calls to a new one and has `version_of` name
it. One that only adds what no spec could ask for before may call the former, as `pod_v2` does.
"""

from collections.abc import Callable, Mapping

from dfastllm_operator.api import DFastLLMService, Spec, with_pod_inputs
from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Revision
from dfastllm_operator.errors import Refuse
from dfastllm_operator.resources import pod_v1, pod_v2
from dfastllm_operator.resources.pod import RenderedPod

RENDER_VERSIONS: Mapping[int, Callable[[DFastLLMService, Revision], RenderedPod]] = {
    1: pod_v1.render,
    2: pod_v2.render,
}


def version_of(spec: Spec) -> int:
    """The version for a new revision: the oldest one that knows all that `spec` asks for.

    So after a downgrade an older operator still has the services that ask for nothing it lacks.
    """
    new_in_2 = (spec.model.verifier, spec.decoding.preset, spec.model.uri == "builtin://smol")
    return 2 if any(new_in_2) else 1


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
