"""From pydantic's JSON schema to what the API server calls structural, or an error.

References are inlined, unions refused but for int-or-string, bounds spelled as in OpenAPI 3.0, and
defaults written out, those of objects too, so that `kubectl get -o yaml` shows what counts.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from dfastllm_operator.core import Json

INT_OR_STRING = "x-kubernetes-int-or-string"

_KEPT = (
    "type",
    "format",
    "pattern",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    INT_OR_STRING,
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
_DROPPED = {"title", "$defs", "propertyNames"}
_HANDLED = {
    "$ref",
    "anyOf",
    "const",
    "description",
    "default",
    "properties",
    "items",
    "additionalProperties",
    "exclusiveMinimum",
    "exclusiveMaximum",
}


class NotStructural(Exception):
    """The model cannot be said in a structural schema; the message names the field."""


def structural(model: type[BaseModel]) -> Json:
    """The schema of `model` as a CustomResourceDefinition takes it."""
    source = model.model_json_schema(by_alias=True)
    return _node(source, source.get("$defs", {}), model.__name__)


def _node(source: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Json:
    node = _resolved(source, definitions, path)
    unknown = node.keys() - set(_KEPT) - _DROPPED - _HANDLED
    if unknown:
        raise NotStructural(f"{path}: {', '.join(sorted(unknown))} has no place in a CRD")
    result: Json = {}
    if "description" in node:
        result["description"] = _described(node)
    result |= {key: node[key] for key in _KEPT if key in node}
    if INT_OR_STRING in node:
        result["anyOf"] = node["anyOf"]
    if "const" in node:
        result["enum"] = [node["const"]]
    for bound, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in node:
            result |= {plain: node[bound], bound: True}
    _children(result, node, definitions, path)
    _default(result, node)
    return result


def _children(
    result: Json, node: Mapping[str, Any], definitions: Mapping[str, Any], path: str
) -> None:
    if "properties" in node:
        result["properties"] = {
            name: _node(part, definitions, f"{path}.{name}")
            for name, part in node["properties"].items()
        }
    if "items" in node:
        result["items"] = _node(node["items"], definitions, f"{path}[]")
        if "enum" in result["items"]:
            result["items"].pop("description", None)  # the field's own says it
        result.setdefault("x-kubernetes-list-type", "atomic")
    if isinstance(node.get("additionalProperties"), Mapping):
        result["additionalProperties"] = _node(
            node["additionalProperties"], definitions, f"{path}{{}}"
        )


def _resolved(
    source: Mapping[str, Any], definitions: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """The node itself: references followed, `X or null` read as an optional X."""
    node = dict(source)
    if "$ref" in node:
        target = definitions[node.pop("$ref").rpartition("/")[2]]
        return _resolved({**target, **node}, definitions, path)
    if "anyOf" in node and INT_OR_STRING not in node:
        choices = [part for part in node.pop("anyOf") if part.get("type") != "null"]
        if len(choices) != 1:
            raise NotStructural(f"{path}: a union has no structural schema")
        return _resolved({**choices[0], **node}, definitions, path)
    return node


def _default(result: Json, node: Mapping[str, Any]) -> None:
    """Defaults that say something.

    That of an object is written out: the API server holds it against the object's rules before it
    fills in the defaults inside.
    """
    default = node.get("default")
    if default is None or default == []:
        return
    if result.get("type") != "object":
        result["default"] = default
        return
    inside = {
        name: part["default"]
        for name, part in result.get("properties", {}).items()
        if "default" in part
    }
    if inside:
        result["default"] = inside


def _described(node: Mapping[str, Any]) -> str:
    """The description in one line, with the default at its end."""
    text = " ".join(node["description"].split())
    default = node.get("default")
    if default in (None, [], {}) or node.get("type") == "object":
        return text
    values = default if isinstance(default, list) else [default]
    shown = ", ".join(v if isinstance(v, str) else json.dumps(v) for v in values)
    return f"{text} Default: {shown}."
