from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from dfastllm_operator.api import Spec, Status
from dfastllm_operator.api.schema import NotStructural, structural
from dfastllm_operator.api.structure import Struct

Json = dict[str, Any]
KINDS = {"object", "array", "string", "integer", "number", "boolean"}
KNOWN = {
    "type",
    "format",
    "description",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "properties",
    "items",
    "additionalProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}


def nodes(node: Json, path: str) -> Iterator[tuple[str, Json]]:
    yield path, node
    for name, part in node.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from nodes(node[key], path + mark)


NODES = [*nodes(structural(Spec), "spec"), *nodes(structural(Status), "status")]
SPEC_NODES = [(path, node) for path, node in NODES if path.startswith("spec")]


def test_every_node_is_structural() -> None:
    for path, node in NODES:
        if "x-kubernetes-int-or-string" in node:
            assert node["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
            assert "type" not in node, path
            continue
        assert node.keys() <= KNOWN, path
        assert node["type"] in KINDS, path
        assert isinstance(node.get("exclusiveMinimum", True), bool), path
        if node["type"] == "object":
            forms = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}
            assert len(forms & node.keys()) == 1, path


def test_everything_a_rule_may_look_at_is_bounded() -> None:
    for path, node in SPEC_NODES:
        if node.get("type") == "string" and "enum" not in node:
            assert node["maxLength"] <= 8192, path
        if node.get("type") == "array":
            assert node["maxItems"] <= 64, path
        if "additionalProperties" in node:
            assert node["maxProperties"] <= 64, path


def test_every_field_is_described() -> None:
    for path, node in NODES:
        if path[-1] not in "]}":
            assert node["description"].endswith("."), path
            assert node["description"][0].isupper() or node["description"][0] in "`/", path


def test_defaults_are_part_of_the_description() -> None:
    for path, node in SPEC_NODES:
        if "default" in node and node["type"] != "object":
            assert " Default: " in node["description"], path


def test_optional_fields_say_what_happens_when_they_are_left_out() -> None:
    sources = {"spec.volumes[]", "spec.env[]", "spec.env[].valueFrom", "spec.networkPolicy.from[]"}
    silent = []
    for path, node in SPEC_NODES:
        if path in sources:
            continue
        for name, part in node.get("properties", {}).items():
            said = "Left out" in part["description"] or "leave it out" in part["description"]
            optional = name not in node.get("required", ()) and "default" not in part
            if optional and not said:
                silent.append(f"{path}.{name}")
    assert silent == ["spec.autoscaling.keda"], "which its type asks for"


def test_the_default_of_an_object_holds_those_inside() -> None:
    for path, node in SPEC_NODES:
        if "default" in node and node["type"] == "object":
            inside = {n: p["default"] for n, p in node["properties"].items() if "default" in p}
            assert node["default"] == inside, path


def test_lists_with_names_merge_by_name() -> None:
    schemas = dict(NODES)
    for field in ("env", "volumes", "imagePullSecrets"):
        assert schemas[f"spec.{field}"]["x-kubernetes-list-map-keys"] == ["name"]
    assert schemas["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert schemas["spec.tolerations"]["x-kubernetes-list-type"] == "atomic"


class Colour(StrEnum):
    """A colour."""

    RED = "red"


class Example(Struct):
    """For the converter."""

    share: float = Field(default=0.5, gt=0, lt=1, description="Share.")
    fixed: Literal["a"] = Field(default="a", description="Fixed.")
    colour: Colour | None = Field(default=None, description="Colour.")
    labels: Annotated[dict[str, str], Field(max_length=3)] = Field(default={}, description="L.")


def test_pydantics_own_ways_are_translated() -> None:
    properties = structural(Example)["properties"]
    assert properties == {
        "share": {
            "description": "Share. Default: 0.5.",
            "type": "number",
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 1,
            "exclusiveMaximum": True,
            "default": 0.5,
        },
        "fixed": {
            "description": "Fixed. Default: a.",
            "type": "string",
            "enum": ["a"],
            "default": "a",
        },
        "colour": {"description": "Colour.", "type": "string", "enum": ["red"]},
        "labels": {
            "description": "L.",
            "type": "object",
            "maxProperties": 3,
            "additionalProperties": {"type": "string"},
        },
    }


class Union(BaseModel):
    value: int | str


class Multiple(BaseModel):
    value: Annotated[int, Field(multiple_of=5)]


@pytest.mark.parametrize("model", [Union, Multiple])
def test_what_has_no_structural_form_is_an_error(model: type[BaseModel]) -> None:
    with pytest.raises(NotStructural, match=f"{model.__name__}.value"):
        structural(model)
