"""What every object of the custom resource is made of: spelling, strictness, and rules.

A rule is written once, beside its model, in the two languages it is needed in: CEL for the API
server, which refuses what is new, and Python for objects that were stored before the rule was.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel
from pydantic.annotated_handlers import GetCoreSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

RECORDED = {"recorded": True}
"""Validation context for inputs of a revision: they once were right and must stay readable.

Rules that are younger than the record are not applied, and fields that only a newer operator
knows are left out."""


def camel_name(attribute: str) -> str:
    """The spelling in the custom resource; `from_` is `from`, which Python keeps for itself."""
    return to_camel(attribute.rstrip("_"))


def matches(text: str, pattern: str) -> bool:
    """CEL's `matches`: anywhere in the text, `$` being its very end."""
    return re.search(pattern.replace("$", r"\Z"), text) is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition between fields.

    `expression` is CEL over the object as `self`, `holds` is the same in Python over the model.
    `message` says what to write instead, `field` is the path it is about, as `.max`.
    """

    expression: str
    message: str
    holds: Callable[[Any], bool]
    field: str = ""


@dataclass(frozen=True, slots=True)
class MapList:
    """Annotation of a list whose items are told apart by keys: appliers merge it item by item."""

    keys: tuple[str, ...]

    def __init__(self, *keys: str) -> None:
        object.__setattr__(self, "keys", keys)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._each_once, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            **handler(schema),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": list(self.keys),
        }

    def _each_once(self, items: tuple["Struct", ...]) -> tuple["Struct", ...]:
        counted = Counter(
            tuple(item.model_dump(by_alias=True)[k] for k in self.keys) for item in items
        )
        twice = [" ".join(map(str, key)) for key, count in counted.items() if count > 1]
        if twice:
            raise PydanticCustomError(
                "rule",
                "{message}",
                {
                    "message": f"{' and '.join(self.keys)} {twice[0]} stands in the list twice",
                    "field": "",
                },
            )
        return items


class Struct(BaseModel):
    """An object of the custom resource; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=camel_name, populate_by_name=True
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, value: Any, info: ValidationInfo) -> Any:
        if info.context != RECORDED or not isinstance(value, dict):
            return value
        known = {field.alias for field in cls.model_fields.values()}
        return {key: part for key, part in value.items() if key in known}

    @model_validator(mode="after")
    def _follows_the_rules(self, info: ValidationInfo) -> Self:
        if info.context == RECORDED:
            return self
        for rule in self.RULES:
            if not rule.holds(self):
                raise PydanticCustomError(
                    "rule", "{message}", {"message": rule.message, "field": rule.field}
                )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        shown = handler.resolve_ref_schema(handler(schema))
        if cls.RULES:
            shown["x-kubernetes-validations"] = [_validation(rule) for rule in cls.RULES]
        return shown


def _validation(rule: Rule) -> dict[str, str]:
    """The rule as the API server takes it."""
    place = {"fieldPath": rule.field} if rule.field else {}
    return {"rule": rule.expression, "message": rule.message, **place}
