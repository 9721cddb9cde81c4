"""From decided revisions to the objects of a service, in the order in which they are applied.

Pure. It takes a list of placements, so that two revisions side by side need no other code.
"""

from collections.abc import Iterator, Mapping, Sequence

from dfastllm_operator.api import DFastLLMService, with_pod_inputs
from dfastllm_operator.core import Child, Placement, Platform, ReplicaRange, Revision
from dfastllm_operator.kinds import HPA, OWNED, SCALED_OBJECT
from dfastllm_operator.resources.config_map import config_map
from dfastllm_operator.resources.controller_revision import controller_revision
from dfastllm_operator.resources.disruption_budget import disruption_budget
from dfastllm_operator.resources.inference_service import inference_service
from dfastllm_operator.resources.network_policy import network_policy
from dfastllm_operator.resources.pod_monitor import pod_monitor
from dfastllm_operator.resources.pods import render_pod
from dfastllm_operator.resources.route import http_route
from dfastllm_operator.resources.scaler import scaler
from dfastllm_operator.resources.service import service_of
from dfastllm_operator.resources.service_account import service_account


def render(
    service: DFastLLMService,
    placements: Sequence[Placement],
    platform: Platform,
    *,
    serving: str = "a",
    kept: Sequence[Revision] = (),
    replicas: int | None = None,
    numbers: Mapping[str, int] | None = None,
    scaling: ReplicaRange | None = None,
) -> list[Child]:
    """Everything `service` needs, in the order of `kinds.OWNED`; nothing without a placement.

    With two slots the scaler goes first, so that a candidate finds what was left to it.
    `kept` are older revisions whose record and configuration must stay because pods may use them.
    `replicas` of a slot are `spec.replicas.min` unless given, and count only without a scaler.
    `numbers` are those of the records, 1 where there is none. `scaling` bounds the scaler, where
    the spec does not.
    Raises Refuse when a revision was made by a newer operator.
    """
    if not placements:
        return []
    wanted = [
        *_of_revisions(service, placements, kept, numbers or {}),
        *_of_slots(service, placements, platform, replicas),
        *_of_service(service, placements, platform, serving, scaling),
    ]
    order = {kind: place for place, kind in enumerate(OWNED)}
    if len(placements) > 1:
        order |= {HPA: -1, SCALED_OBJECT: -1}
    return sorted(wanted, key=lambda wanted: order[wanted.kind])


def _of_revisions(
    service: DFastLLMService,
    placements: Sequence[Placement],
    kept: Sequence[Revision],
    numbers: Mapping[str, int],
) -> Iterator[Child]:
    revisions = {placement.revision.hash: placement.revision for placement in placements}
    for revision in (*revisions.values(), *(r for r in kept if r.hash not in revisions)):
        yield controller_revision(service, revision, numbers.get(revision.hash, 1))
        yield config_map(service, revision, render_pod(service, revision))


def _of_slots(
    service: DFastLLMService,
    placements: Sequence[Placement],
    platform: Platform,
    replicas: int | None,
) -> Iterator[Child]:
    count = service.spec.replicas.min if replicas is None else replicas
    for placement in placements:
        pod = render_pod(service, placement.revision)
        own = count if placement.replicas is None else placement.replicas
        yield inference_service(service, placement, pod, platform, replicas=own)


def _of_service(
    service: DFastLLMService,
    placements: Sequence[Placement],
    platform: Platform,
    serving: str,
    scaling: ReplicaRange | None,
) -> Iterator[Child]:
    yield service_of(service, serving)
    optional = (
        _account(service, placements),
        http_route(service, placements, platform),
        scaler(service, serving, scaling),
        disruption_budget(service),
        network_policy(service, platform),
        pod_monitor(service),
    )
    yield from (child for child in optional if child is not None)


def _account(service: DFastLLMService, placements: Sequence[Placement]) -> Child | None:
    """For as long as one of the revisions has no account of the user's."""
    specs = (with_pod_inputs(service.spec, place.revision.inputs) for place in placements)
    made = (service_account(service.with_spec(spec)) for spec in (service.spec, *specs))
    return next((account for account in made if account is not None), None)
