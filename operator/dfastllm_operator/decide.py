"""What should be there: which revision in which slot, and what stands in the way.

Pure: spec, status, observed objects in, `Plan` out. It renders nothing and reaches nothing. Today
there is one slot and KServe's rolling update; a canary adds a second placement, not a new design.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import yaml

from dfastllm_operator import names
from dfastllm_operator.api import Spec, with_pod_inputs
from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Json, Placement, ReplicaRange, Resolved, Revision
from dfastllm_operator.errors import Refuse
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    POD,
)
from dfastllm_operator.observe import Observed
from dfastllm_operator.resources.pod import CONFIG_FILE
from dfastllm_operator.resources.pods import RENDER_VERSIONS, version_of
from dfastllm_operator.revision import from_record, hash_in, new_revision


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision.

    `placements` is empty while nothing good was ever configured. `spec` is the present spec, with
    the pod-affecting fields of the last good revision where the present ones cannot be used.
    `problem` says why they cannot. `kept` are older revisions that pods may still need, as far as
    they can be rendered; `used` are the hashes of all that pods may need. `numbers` are
    those of the records that are there. `scaling` bounds the scaler; None: as the spec says.
    """

    spec: Spec
    placements: tuple[Placement, ...]
    kept: tuple[Revision, ...]
    used: frozenset[str] = frozenset()
    problem: Refuse | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    scaling: ReplicaRange | None = None

    @property
    def serving(self) -> str:
        return self.placements[0].slot if self.placements else names.SLOTS[0]


def decide(observed: Observed) -> Plan:
    """Choose the revision of the slot; see `Plan`."""
    spec = observed.service.spec
    recorded = recorded_revisions(observed)
    problem = _problem(observed, recorded)
    revision = _wanted(observed, recorded, problem)
    if revision is None:
        return Plan(spec=spec, placements=(), kept=(), problem=problem)
    if problem is not None:
        spec = with_pod_inputs(spec, revision.inputs)
    slot = str(observed.status.get("slot") or names.SLOTS[0])
    used = _hashes_in_use(observed)
    older = [recorded[h] for h in sorted(used) if h in recorded and h != revision.hash]
    return Plan(
        spec=spec,
        placements=(Placement(slot=slot, revision=revision, weight=100),),
        kept=tuple(r for r in older if r.render_version in RENDER_VERSIONS),
        used=frozenset(used),
        problem=problem,
        numbers=_numbers(observed, recorded),
    )


def recorded_revisions(observed: Observed) -> dict[str, Revision]:
    """Revisions whose record is in the cluster, by hash; records nobody can read are left out."""
    found: dict[str, Revision] = {}
    for seen in observed.of(CONTROLLER_REVISION):
        try:
            notes = seen.body["metadata"].get("annotations") or {}
            revision = from_record(seen.body.get("data") or {}, notes)
        except (KeyError, TypeError, ValueError):
            continue
        found[revision.hash] = revision
    return found


def _problem(observed: Observed, recorded: Mapping[str, Revision]) -> Refuse | None:
    if observed.invalid is not None:
        return observed.invalid
    if observed.secrets_missing:
        field, name = observed.secrets_missing[0]
        return Refuse(
            Reason.SECRET_NOT_FOUND,
            f"{field}: there is no Secret {name!r} in namespace {observed.service.namespace}; "
            "create it or name another.",
        )
    namespace = observed.service.namespace
    if len(namespace) > names.LONGEST_NAMESPACE:
        return Refuse(
            Reason.INVALID_SPEC,
            f"metadata.namespace: {namespace!r} has {len(namespace)} characters; KServe makes a "
            f"host name of it that leaves room for {names.LONGEST_NAMESPACE}.",
        )
    if hash_in(recorded, observed.service.spec) in recorded:
        return None  # sized when it was recorded; a table that knows less now changes nothing
    return observed.unsized


def _wanted(
    observed: Observed, recorded: Mapping[str, Revision], problem: Refuse | None
) -> Revision | None:
    if problem is not None:
        return recorded.get(str(observed.status.get("updatedRevision")))
    present = hash_in(recorded, observed.service.spec)
    if present in recorded:
        return recorded[present]
    if (running := _as_it_runs(observed, present)) is not None:
        return running
    assert observed.resolved is not None, "sized, or there would be a problem"
    spec = observed.service.spec
    return new_revision(spec, observed.resolved, version_of(spec))


def _as_it_runs(observed: Observed, wanted: str) -> Revision | None:
    """The wanted revision as its InferenceService has it: its record was lost, no pod need be."""
    service, slot = observed.service, str(observed.status.get("slot") or names.SLOTS[0])
    seen = observed.owned(
        INFERENCE_SERVICE, names.inference_service(service.name, service.namespace, slot)
    )
    if seen is None or observed.status.get("updatedRevision") != wanted:
        return None
    if (seen.body["metadata"].get("labels") or {}).get(names.REVISION_LABEL) != wanted:
        return None
    predictor = (seen.body.get("spec") or {}).get("predictor") or {}
    containers: list[Json] = predictor.get("containers") or [{}]
    container: Json = predictor.get("model") or containers[0]
    resources = container.get("resources") or {}
    if not container.get("image"):
        return None
    resolved = Resolved(
        image=str(container["image"]),
        requests=resources.get("requests") or {},
        limits=resources.get("limits") or {},
    )
    resolved = replace(resolved, former_names=_names_beside_own(observed, wanted))
    version = int(str(observed.status.get("renderVersion") or version_of(service.spec)))
    return new_revision(service.spec, resolved, version)


def _names_beside_own(observed: Observed, revision: str) -> tuple[str, ...]:
    """What the file of the revision says that its pods answer to beside the model's name."""
    seen = observed.owned(CONFIG_MAP, names.revision(observed.service.name, revision))
    try:
        config = yaml.safe_load(seen.body["data"][CONFIG_FILE]) if seen is not None else {}
        return tuple(map(str, config["model"]["served_model_name"][1:]))
    except (KeyError, TypeError, yaml.YAMLError):  # gone, or not what we wrote
        return ()


def _numbers(observed: Observed, recorded: Mapping[str, Revision]) -> dict[str, int]:
    """A record is immutable: it keeps its number."""
    found = {}
    for seen in observed.of(CONTROLLER_REVISION):
        revision = str((seen.body.get("data") or {}).get("hash"))
        if revision in recorded:
            found[revision] = int(seen.body.get("revision") or 1)
    return found


def _hashes_in_use(observed: Observed) -> set[str]:
    """Revisions that pods run, or may be started with again while KServe has not caught up."""
    used = {str(observed.status.get("revision")), str(observed.status.get("updatedRevision"))}
    for seen in observed.of(POD):
        used.add(str((seen.body["metadata"].get("labels") or {}).get(names.REVISION_LABEL)))
    for seen in observed.of(DEPLOYMENT):
        template = seen.body.get("spec", {}).get("template", {}).get("metadata", {})
        used.add(str((template.get("labels") or {}).get(names.REVISION_LABEL)))
    return used
