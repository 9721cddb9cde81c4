"""Which rendered objects a cluster is to have, and what of those that are there is left alone.

Pure.
"""

from dfastllm_operator import names
from dfastllm_operator.core import Child, Seen
from dfastllm_operator.decide import Plan
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    HPA,
    HTTP_ROUTE,
    SCALED_OBJECT,
    Kind,
)
from dfastllm_operator.observe import Observed
from dfastllm_operator.render import render


def wanted_children(observed: Observed, plan: Plan) -> list[Child]:
    """The rendered objects, less what this cluster cannot have."""
    service = observed.service.with_spec(plan.spec)
    rendered = render(
        service,
        plan.placements,
        observed.platform,
        serving=plan.serving,
        kept=plan.kept,
        numbers=plan.numbers,
        scaling=plan.scaling,
    )
    served = (child for child in rendered if observed.platform.serves(child.kind))
    if observed.rival is None:
        return list(served)
    kept = (_where_it_is(c, observed) if c.kind == HTTP_ROUTE else c for c in served)
    return [child for child in kept if child is not None]


def _where_it_is(route: Child, observed: Observed) -> Child | None:
    """The hostname is somebody else's: a route that is there keeps its own, and its weights go on.

    None: there is none, and none can be had.
    """
    present = observed.owned(HTTP_ROUTE, route.name)
    if present is None:
        return None
    spec = present.body.get("spec") or {}
    place = {field: spec[field] for field in ("parentRefs", "hostnames") if field in spec}
    return Child(route.kind, {**route.body, "spec": {**route.body["spec"], **place}})


def spared_kinds(observed: Observed) -> set[Kind]:
    """Kinds of which what works is not taken away for something that cannot be had."""
    spared = set()
    wants_keda = observed.service.spec.autoscaling.type == "keda"
    if wants_keda and not observed.platform.serves(SCALED_OBJECT):
        spared.add(HPA)
    return spared


def judged_children(observed: Observed, plan: Plan, wanted: list[Child]) -> list[Seen]:
    """What is to become what is wanted, or to go; of revisions that pods run nothing goes."""
    rendered = {(child.kind, child.name) for child in wanted}
    return [
        seen
        for seen in observed.seen
        if (seen.kind, seen.name) in rendered or not _needed_by_pods(seen, plan)
    ]


def _needed_by_pods(seen: Seen, plan: Plan) -> bool:
    """Of a revision that pods run, and that only a newer operator could render."""
    if seen.kind not in (CONFIG_MAP, CONTROLLER_REVISION):
        return False
    labels = seen.body["metadata"].get("labels") or {}
    return labels.get(names.REVISION_LABEL) in plan.used
