"""What a revision is: a hash of the user's pod-affecting inputs, and the record kept of it.

Pure. The hash covers only what the user wrote (fields at their default count as not written), so
neither a new operator nor a field added to the API changes it. How the inputs were rendered, and
what the operator filled in, is stored beside them.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.api import Spec, pod_essence, pod_inputs
from dfastllm_operator.core import Json, Resolved, Revision

HASH_CHARACTERS = 10
GPU = "nvidia.com/gpu"
"""What counts GPUs unless `resources.gpu.resourceName` says otherwise."""


def digest(value: Json | list[Json]) -> str:
    """Short hash of a JSON value; the order of keys does not matter, nor does 1.0 for 1."""
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARACTERS]


def _plain(value: Any) -> Any:
    """Numbers as they come back from the API server, which writes no `.0`."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def revision_hash(spec: Spec) -> str:
    return digest(pod_essence(spec))


def hash_in(recorded: Mapping[str, Revision], spec: Spec) -> str:
    """The hash of what `spec` asks for, or of the record that asks for the very same.

    Where a default has grown, as the list of strategies did by `apd`, stored objects have the
    former one written out: it counts as theirs by now, and they hash otherwise than they did.
    """
    own = revision_hash(spec)
    if own in recorded:
        return own
    inputs = _plain(pod_inputs(spec))
    same = (r.hash for r in recorded.values() if _plain(r.inputs) == inputs)
    return next(same, own)


def new_revision(spec: Spec, resolved: Resolved, render_version: int) -> Revision:
    return Revision(
        hash=revision_hash(spec),
        render_version=render_version,
        inputs=pod_inputs(spec),
        resolved=resolved,
    )


def gpus_of(revision: Revision) -> int:
    """GPUs of one replica, by what was recorded with the revision."""
    gpu = (revision.inputs.get("resources") or {}).get("gpu") or {}
    count = str(revision.resolved.limits.get(gpu.get("resourceName") or GPU) or 0)
    return int(count) if count.isdigit() else 0


def to_record(revision: Revision) -> Json:
    """The `data` of a ControllerRevision, which never changes."""
    resolved = revision.resolved
    recorded = resolved.recorded_names
    former = list(resolved.former_names if recorded is None else recorded)
    return {
        "hash": revision.hash,
        "renderVersion": revision.render_version,
        "inputs": revision.inputs,
        "resolved": {
            "image": resolved.image,
            "requests": dict(resolved.requests),
            "limits": dict(resolved.limits),
            **({"formerNames": former} if former else {}),
        },
    }


def notes_of(revision: Revision) -> dict[str, str]:
    """The annotations of a ControllerRevision: names that its revision came to answer to later."""
    resolved = revision.resolved
    if resolved.recorded_names in (None, resolved.former_names):
        return {}
    return {names.FORMER_NAMES: json.dumps(list(resolved.former_names))}


def from_record(data: Json, notes: Mapping[str, str] | None = None) -> Revision:
    """The revision that a ControllerRevision's `data` describes, with its annotations.

    Raises KeyError or TypeError when somebody else wrote it.
    """
    resolved = data["resolved"]
    recorded = tuple(map(str, resolved.get("formerNames") or ()))
    noted = _noted_names(notes or {})
    return Revision(
        hash=str(data["hash"]),
        render_version=int(data["renderVersion"]),
        inputs=data["inputs"],
        resolved=Resolved(
            image=str(resolved["image"]),
            requests=resolved.get("requests", {}),
            limits=resolved.get("limits", {}),
            former_names=recorded if noted is None else noted,
            recorded_names=None if noted is None else recorded,
        ),
    )


def _noted_names(notes: Mapping[str, str]) -> tuple[str, ...] | None:
    """None: none were noted, or not by us; then those that were recorded count."""
    try:
        return tuple(map(str, json.loads(notes[names.FORMER_NAMES])))
    except (KeyError, TypeError, ValueError):
        return None
