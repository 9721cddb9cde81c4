"""Kinds of text in the custom resource: names, keys, label values, each with pattern and length."""

from typing import Annotated

from pydantic import Field, StringConstraints

from dfastllm_operator.api.structure import Rule, Struct, camel_name, matches

LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$"
SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

KEY = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"

ObjectName = Annotated[str, StringConstraints(pattern=SUBDOMAIN, min_length=1, max_length=253)]
LabelName = Annotated[str, StringConstraints(pattern=DNS_LABEL, min_length=1, max_length=63)]
ImageName = Annotated[str, StringConstraints(pattern="^[^ ]+$", min_length=1, max_length=512)]
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE, max_length=63)]
Labels = Annotated[dict[str, LabelValue], Field(max_length=32)]
DataKey = Annotated[
    str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)
]


class NameRef(Struct):
    """An object of the same namespace."""

    name: ObjectName = Field(description="Name of the object, in the namespace of the service.")


def keys_rule(attribute: str, what: str) -> Rule:
    """The keys of a map, which a schema cannot describe."""
    name = camel_name(attribute)
    return Rule(
        f"!has(self.{name}) || self.{name}.all(key, key.matches('{KEY}'))",
        f"{what} are NAME or PREFIX/NAME, NAME having up to 63 letters, digits, -, _ and dots",
        lambda owner: all(matches(key, KEY) for key in getattr(owner, attribute) or ()),
        f".{name}",
    )
