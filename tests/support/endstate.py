"""What became of a service, in a form in which two runs that came to the same are equal."""

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.kinds import CONFIG_MAP, CONTROLLER_REVISION, Kind
from support.kubeapi import Json

# Set by the API server or by other controllers, and different in each run.
NOT_COMPARED = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "observedGeneration",
        "creationTimestamp",
        "managedFields",
        "lastTransitionTime",
        "lastError",
        "updateStarted",
        "since",
        "handled",  # with nonces
        "measurements",
        "moves",  # the path
        "clusterIP",
        "clusterIPs",
        names.APPLIED,  # a digest of the owner and of names, too
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """A service, what it owns, and what KServe and Kubernetes made of that."""

    service: Json
    owned: tuple[tuple[Kind, Json], ...]
    deployments: list[Json]
    pods: list[Json]


def end_state(found: Found) -> Json:
    """By kind and name; names of the service, its namespace and its pods are made general."""
    state: Json = {
        f"{kind} {body['metadata']['name']}": {k: v for k, v in body.items() if k != "status"}
        for kind, body in found.owned
    }
    for deployment in found.deployments:
        spec = deployment["spec"]
        kept = {key: spec[key] for key in ("replicas", "template")}
        state[f"Deployment {deployment['metadata']['name']}"] = kept
    state["pods"] = dict(Counter(map(revision_of, found.pods)))
    state["status"] = found.service.get("status")
    text = json.dumps(_comparable(state), sort_keys=True)
    metadata = found.service["metadata"]
    for given, general in ((metadata["name"], "NAME"), (metadata["namespace"], "NAMESPACE")):
        text = re.sub(rf"(?<![a-z0-9]){re.escape(given)}(?![a-z0-9])", general, text)
    text = re.sub(r"(-predictor)-[0-9a-f]{6,10}-[a-z0-9]{5}(?![a-z0-9-])", r"\1-POD", text)
    general_state: Json = json.loads(text)
    return general_state


def measured_apart(end: Json) -> Json:
    """Without the latest look and the numbers in messages: what was measured until then differs."""

    def apart(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: apart(one, name) for name, one in value.items() if name != "measured"}
        if isinstance(value, list):
            return [apart(one) for one in value]
        return re.sub(r"\d+(?:\.\d+)?", "N", value) if key == "message" else value

    return {**end, "status": apart(end["status"])}


def without_history(found: Found) -> Found:
    """Without the records of revisions that nothing is said of any more, and their count."""
    status = found.service.get("status") or {}
    rollout = status.get("rollout") or {}
    places = [rollout.get(place) or {} for place in ("stable", "candidate", "leaving")]
    present = {status.get("revision"), status.get("updatedRevision"), rollout.get("failed")}
    present |= {place.get("revision") for place in places}
    owned = []
    for kind, body in found.owned:
        if kind in (CONTROLLER_REVISION, CONFIG_MAP) and revision_of(body) not in present:
            continue
        numbered = kind == CONTROLLER_REVISION
        owned.append((kind, {k: v for k, v in body.items() if k != "revision" or not numbered}))
    return replace(found, owned=tuple(owned))


def difference(one: Json, other: Json) -> str:
    """Line by line; empty if they are the same."""
    lines = [json.dumps(state, indent=1, sort_keys=True).splitlines() for state in (one, other)]
    return "\n".join(unified_diff(lines[0], lines[1], n=8, lineterm=""))


def revision_of(body: Json) -> str:
    return str((body["metadata"].get("labels") or {}).get(names.REVISION_LABEL))


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _comparable(v) for k, v in value.items() if k not in NOT_COMPARED}
    return [_comparable(item) for item in value] if isinstance(value, list) else value
