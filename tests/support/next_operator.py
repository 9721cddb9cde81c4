"""The operator of a release to come, which renders pods in a version of its own.

A program that takes the operator's own command line.
"""

from dataclasses import replace

from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Revision
from dfastllm_operator.resources import pods
from dfastllm_operator.resources.pod import RenderedPod

VERSION = 3
MARK = {"name": "RENDERED_BY", "value": str(VERSION)}


def render(service: DFastLLMService, revision: Revision) -> RenderedPod:
    """As the version before, and one more variable."""
    pod = pods.RENDER_VERSIONS[VERSION - 1](service, revision)
    return replace(pod, container={**pod.container, "env": [*pod.container["env"], MARK]})


def main() -> None:
    pods.RENDER_VERSIONS = {**pods.RENDER_VERSIONS, VERSION: render}
    pods.version_of = lambda spec: VERSION
    from dfastllm_operator.__main__ import main as operate  # takes both over as they are then

    operate()


if __name__ == "__main__":
    main()
