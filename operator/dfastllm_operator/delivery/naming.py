"""Which model names a candidate answers to beside its own. Pure.

Clients ask for a model by name and do not know which side they meet: during a split both sides
must know the name that stable has. A candidate is therefore started with it, and since a promotion
restarts nothing, it keeps it. The next rollout that changes the name again is the end of it.
"""

from collections.abc import Mapping
from dataclasses import replace

from dfastllm_operator import names
from dfastllm_operator.canary.policy import RolloutSpec, Strategy
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.core import Revision
from dfastllm_operator.kinds import INFERENCE_SERVICE, POD
from dfastllm_operator.observe import Observed
from dfastllm_operator.resources.pods import RENDER_VERSIONS


def with_names(
    observed: Observed,
    policy: RolloutSpec,
    status: RolloutStatus,
    wanted: str,
    revisions: Mapping[str, Revision],
) -> Mapping[str, Revision]:
    """`revisions`, the wanted one as it is to be recorded if it is to stand beside stable.

    One that has a slot, or pods left, stays as it was recorded.
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
    return {**revisions, wanted: replace(revision, resolved=resolved)}


def own_name(revision: Revision, service: str) -> str:
    """What the spec of the revision called the model."""
    return str((revision.inputs.get("model") or {}).get("name") or service)


def former_names(own: str, stable: Revision, service: str) -> tuple[str, ...]:
    """What a candidate of that name has to answer to for the sake of stable's clients.

    A change that keeps the name keeps the former one too, so that both sides of every split know
    the same names; another name takes its place.
    """
    present = own_name(stable, service)
    return stable.resolved.former_names if own == present else (present,)


def _placed(observed: Observed, status: RolloutStatus) -> set[str]:
    places = (status.candidate, status.leaving)
    objects = (*observed.of(INFERENCE_SERVICE), *observed.of(POD))
    labelled = ((s.body["metadata"].get("labels") or {}).get(names.REVISION_LABEL) for s in objects)
    return {p.revision for p in places if p is not None} | {str(label) for label in labelled}
