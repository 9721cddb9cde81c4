"""The immutable record of a revision: what the user asked for and what was filled in."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child, Revision
from dfastllm_operator.kinds import CONTROLLER_REVISION
from dfastllm_operator.resources.metadata import child, without_nulls
from dfastllm_operator.revision import to_record


def controller_revision(service: DFastLLMService, revision: Revision) -> Child:
    """The number, which Kubernetes asks for, means nothing here: revisions are named by hash."""
    return child(
        service,
        CONTROLLER_REVISION,
        names.revision(service.name, revision.hash),
        {"data": without_nulls(to_record(revision)), "revision": 1},
        labels={names.REVISION_LABEL: revision.hash},
    )
