"""Whether an object already says what it is wanted to say.

Pure. The wanted body holds only fields the operator owns; whatever others added is theirs. Three
things make a difference: a wanted field that is missing or has another value; one that the API
server no longer books to our field manager (somebody wrote it, as by adding an item to a list that
is one value); and one that is still booked to us though it is wanted no more. A server-side apply
mends them all.

What is booked says nothing of the inside of a list that is one value: a key of an item that is
wanted no more would stay. So children are stamped with a digest of what was applied, all but the
InferenceService: KServe copies its annotations to the pods, and there the revision's label says it.
"""

import json
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.core import Child, Json
from dfastllm_operator.kinds import INFERENCE_SERVICE
from dfastllm_operator.revision import digest

MERGE_KEYS = ("name", "uid", "mountPath")
"""What identifies an item of a list that several writers may share; other lists are whole."""


UNBOOKED = ("apiVersion", "kind")
UNBOOKED_METADATA = ("name", "namespace", "uid", "resourceVersion")
"""Fields every object has; no manager owns them."""


def stamped(child: Child) -> Child:
    """`child` with the digest of its own body as annotation, where it may have one."""
    if child.kind == INFERENCE_SERVICE:
        return child
    metadata = dict(child.body["metadata"])
    annotations = {**(metadata.get("annotations") or {}), names.APPLIED: digest(child.body)}
    return Child(child.kind, {**child.body, "metadata": {**metadata, "annotations": annotations}})


def holds(wanted: Json, seen: Json) -> bool:
    """Whether `seen` has every field of `wanted` with its value, and no other field of ours."""
    return not difference(wanted, seen)


def difference(wanted: Json, seen: Json) -> str:
    """Path of the first field that is not as wanted; empty if there is none."""
    fields = own_fields(seen)
    content = {key: value for key, value in wanted.items() if key != "metadata"}
    found = first_difference(content, seen)
    if fields is None:
        return found or first_difference(wanted, seen) or "managedFields"
    booked = {key: value for key, value in wanted.items() if key not in UNBOOKED}
    return (
        found
        or _first_unbooked(fields, booked, "")
        or _first_surplus(fields, wanted, "")
        or first_difference(wanted, seen)
    )


def own_fields(seen: Json) -> Json | None:
    """The fields booked to our manager (`fieldsV1`); None if it never applied the object."""
    for entry in seen["metadata"].get("managedFields") or []:
        ours = entry.get("manager") == names.FIELD_MANAGER
        if ours and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return dict(entry.get("fieldsV1") or {})
    return None


def first_difference(wanted: Any, seen: Any, path: str = "") -> str:
    """Path of the first field of `wanted` that `seen` lacks or has otherwise; empty if none."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        for key, value in wanted.items():
            at = f"{path}.{key}" if path else key
            if found := first_difference(value, seen.get(key), at):
                return found
        return ""
    if isinstance(wanted, list) and isinstance(seen, list):
        for index, (item, other) in enumerate(_pairs(wanted, seen)):
            if found := first_difference(item, other, f"{path}[{index}]"):
                return found
        whole = _merge_key(wanted) is None
        return path if whole and len(wanted) != len(seen) else ""
    same = wanted == seen and isinstance(wanted, bool) == isinstance(seen, bool)
    return "" if same else path or "."


def _pairs(wanted: list[Any], seen: list[Any]) -> list[tuple[Any, Any]]:
    """Items that belong together: by their key where they have one, else by place."""
    key = _merge_key(wanted)
    if key is None:
        padded = [*seen, *[None] * (len(wanted) - len(seen))]
        return list(zip(wanted, padded, strict=False))
    theirs = {item.get(key): item for item in seen if isinstance(item, dict)}
    return [(item, theirs.get(item[key])) for item in wanted]


def _merge_key(items: list[Any]) -> str | None:
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    for key in MERGE_KEYS:
        values = [item.get(key) for item in items]
        if all(isinstance(v, str) for v in values) and len(set(values)) == len(values):
            return key
    return None


def _first_unbooked(fields: Json, wanted: Json, path: str) -> str:
    """Path of the first wanted field that is not booked; below one booked whole, nothing is asked.

    `fieldsV1` spells a field `f:NAME`, an item of a list by its keys `k:{...}`, an item of a set
    `v:VALUE`; `.` is the parent itself.
    """
    for name, value in wanted.items():
        at = f"{path}.{name}" if path else name
        if path == "metadata" and name in UNBOOKED_METADATA:
            continue
        below = fields.get(f"f:{name}")
        if below is None:
            if path == "" and name == "metadata":
                continue
            return at
        if found := _first_unbooked_below(below, value, at):
            return found
    return ""


def _first_unbooked_below(booked: Json, value: Any, path: str) -> str:
    items = {step: inner for step, inner in booked.items() if step.startswith("k:")}
    if isinstance(value, dict) and booked:
        return _first_unbooked(booked, value, path)
    if isinstance(value, list) and items:
        return _first_unbooked_item(items, value, path)
    return ""


def _first_unbooked_item(booked: Json, wanted: list[Any], path: str) -> str:
    keyed = [(json.loads(step.partition(":")[2]), inner) for step, inner in booked.items()]
    for index, item in enumerate(wanted):
        inner = next((below for keys, below in keyed if _by_keys([item], keys) is not None), None)
        at = f"{path}[{index}]"
        if inner is None:
            return at
        if inner and (found := _first_unbooked(inner, item, at)):
            return found
    return ""


def _first_surplus(fields: Json, wanted: Any, path: str) -> str:
    for step, below in fields.items():
        kind, _, label = step.partition(":")
        at = f"{path}.{label}" if path and kind == "f" else f"{path}[{label}]" if path else label
        if kind == "f":
            if not isinstance(wanted, dict) or label not in wanted:
                return at
            inner = wanted[label]
        elif kind == "k":
            inner = _by_keys(wanted, json.loads(label))
            if inner is None:
                return at
        elif kind == "v":
            if not isinstance(wanted, list) or json.loads(label) not in wanted:
                return at
            continue
        else:
            continue
        if below and (found := _first_surplus(below, inner, at)):
            return found
    return ""


def _by_keys(items: Any, keys: Json) -> Any:
    """The item with these keys; a key the wanted item lacks is one the API server filled in."""
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and all(item.get(k, v) == v for k, v in keys.items()):
            return item
    return None
