"""What a revision is: a hash of the user's pod-affecting inputs, and the record kept of it.

Pure. The hash covers only what the user wrote (fields at their default count as not written), so
neither a new operator nor a field added to the API changes it. How the inputs were rendered, and
what the operator filled in, is stored beside them.
"""

import hashlib
import json

from dfastllm_operator.api import Spec, pod_essence, pod_inputs
from dfastllm_operator.core import Json, Resolved, Revision

HASH_CHARACTERS = 10


def digest(value: Json | list[Json]) -> str:
    """Short hash of a JSON value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARACTERS]


def revision_hash(spec: Spec) -> str:
    return digest(pod_essence(spec))


def new_revision(spec: Spec, resolved: Resolved, render_version: int) -> Revision:
    return Revision(
        hash=revision_hash(spec),
        render_version=render_version,
        inputs=pod_inputs(spec),
        resolved=resolved,
    )


def to_record(revision: Revision) -> Json:
    """The `data` of a ControllerRevision."""
    return {
        "hash": revision.hash,
        "renderVersion": revision.render_version,
        "inputs": revision.inputs,
        "resolved": {
            "image": revision.resolved.image,
            "requests": dict(revision.resolved.requests),
            "limits": dict(revision.resolved.limits),
        },
    }


def from_record(data: Json) -> Revision:
    """The revision that a ControllerRevision's `data` describes.

    Raises KeyError or TypeError when somebody else wrote it.
    """
    resolved = data["resolved"]
    return Revision(
        hash=str(data["hash"]),
        render_version=int(data["renderVersion"]),
        inputs=data["inputs"],
        resolved=Resolved(
            image=str(resolved["image"]),
            requests=resolved.get("requests", {}),
            limits=resolved.get("limits", {}),
        ),
    )
