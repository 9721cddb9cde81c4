"""The server's configuration file, one immutable ConfigMap per revision.

A changed configuration is another object, so pods that run keep what they were started with.
"""

import yaml

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child, Revision
from dfastllm_operator.kinds import CONFIG_MAP
from dfastllm_operator.resources.metadata import child
from dfastllm_operator.resources.pod import CONFIG_FILE, RenderedPod


def config_map(service: DFastLLMService, revision: Revision, pod: RenderedPod) -> Child:
    text = yaml.safe_dump(pod.config, sort_keys=False, width=1000, allow_unicode=True)
    return child(
        service,
        CONFIG_MAP,
        names.revision(service.name, revision.hash),
        {"data": {CONFIG_FILE: text}, "immutable": True},
        labels={names.REVISION_LABEL: revision.hash},
    )
