"""Which model names a candidate answers to beside its own. Pure.

Clients ask for a model by name and do not know which side they meet: during a split both sides
must know the names that stable answers to: its own, and those of revisions before. A candidate is
therefore started with all of them, and since a promotion restarts nothing, it keeps them. They grow
by one with each change of the name, so the oldest end at some time.
"""

from collections.abc import Mapping
from dataclasses import replace

from dfastllm_operator import names
from dfastllm_operator.canary.policy import RolloutSpec, Strategy
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.core import Revision
from dfastllm_operator.decide import recorded_revisions
from dfastllm_operator.kinds import INFERENCE_SERVICE, POD
from dfastllm_operator.observe import Observed
from dfastllm_operator.resources.pods import RENDER_VERSIONS

MOST_FORMER_NAMES = 8
"""How many changes of the name a client may miss."""


def with_names(
    observed: Observed,
    policy: RolloutSpec,
    status: RolloutStatus,
    wanted: str,
    revisions: Mapping[str, Revision],
) -> Mapping[str, Revision]:
    """`revisions`, the wanted one as it is to be recorded if it is to stand beside stable.

    One that has a slot, or pods left, stays as it was recorded. One that was recorded before and
    comes back keeps its record: its names are noted on it.
    """
    stable = revisions.get(status.stable.revision) if status.stable else None
    revision = revisions.get(wanted)
    if policy.strategy is not Strategy.CANARY or stable is None or revision is None:
        return revisions
    if revision is stable or wanted in _placed(observed, status):
        return revisions
    if revision.render_version not in RENDER_VERSIONS:  # of a newer operator, which knows better
        return revisions
    name = observed.service.name
    former = former_names(own_name(revision, name), stable, name)
    if former == revision.resolved.former_names:
        return revisions
    resolved = replace(revision.resolved, former_names=former)
    if wanted in recorded_revisions(observed) and resolved.recorded_names is None:
        resolved = replace(resolved, recorded_names=revision.resolved.former_names)
    return {**revisions, wanted: replace(revision, resolved=resolved)}


def own_name(revision: Revision, service: str) -> str:
    """What the spec of the revision called the model."""
    return str((revision.inputs.get("model") or {}).get("name") or service)


def former_names(own: str, stable: Revision, service: str) -> tuple[str, ...]:
    """What a candidate of that name has to answer to for the sake of stable's clients.

    The newest come first. A change that keeps the name keeps them as they are, so that both sides
    of the split know the same names.
    """
    present, former = own_name(stable, service), stable.resolved.former_names
    if own == present:
        return former
    served = dict.fromkeys((present, *former))
    return tuple(name for name in served if name != own)[:MOST_FORMER_NAMES]


def _placed(observed: Observed, status: RolloutStatus) -> set[str]:
    places = (status.candidate, status.leaving)
    objects = (*observed.of(INFERENCE_SERVICE), *observed.of(POD))
    labelled = ((s.body["metadata"].get("labels") or {}).get(names.REVISION_LABEL) for s in objects)
    return {p.revision for p in places if p is not None} | {str(label) for label in labelled}
