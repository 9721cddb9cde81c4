"""The immutable record of a revision: what the user asked for and what was filled in."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child, Revision
from dfastllm_operator.kinds import CONTROLLER_REVISION
from dfastllm_operator.resources.metadata import child, without_nulls
from dfastllm_operator.revision import notes_of, to_record


def controller_revision(service: DFastLLMService, revision: Revision, number: int = 1) -> Child:
    """Revisions are named by hash; `number` tells the newer one, and never changes."""
    return child(
        service,
        CONTROLLER_REVISION,
        names.revision(service.name, revision.hash),
        {"data": without_nulls(to_record(revision)), "revision": number},
        labels={names.REVISION_LABEL: revision.hash},
        annotations=notes_of(revision),
    )
