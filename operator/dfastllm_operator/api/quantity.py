"""Amounts: Kubernetes quantities (`16Gi`, `500m`, `2`) and numbers of parameters (`8B`, `135M`).

YAML reads `2` as an integer, so both are int-or-string for the API server and text in here.
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema

QUANTITY = r"^[0-9]+(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
PARAMETERS = r"^([1-9][0-9]*(\.[0-9]{1,9})?|0\.[0-9]{0,8}[1-9])[KMBT]?$"
LONGEST = 24

_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
}
_PARAMETER_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _int_or_string(pattern: str, least: int) -> dict[str, Any]:
    """Patterns and lengths are for the text, the minimum is for the integer."""
    return {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
        "pattern": pattern,
        "maxLength": LONGEST,
        "minimum": least,
    }


Quantity = Annotated[
    str,
    StringConstraints(pattern=QUANTITY, max_length=LONGEST),
    BeforeValidator(_text),
    WithJsonSchema(_int_or_string(QUANTITY, 0)),
]
ParameterCount = Annotated[
    str,
    StringConstraints(pattern=PARAMETERS, max_length=LONGEST),
    BeforeValidator(_text),
    WithJsonSchema(_int_or_string(PARAMETERS, 1)),
]


def amount(quantity: str) -> Decimal:
    """A quantity in its base unit: bytes of memory, cores of cpu, pieces of anything else."""
    number = quantity.rstrip("mkKMGTPi")
    return Decimal(number) * _FACTORS[quantity[len(number) :]]


def parameters(count: str) -> int:
    """`8B` is 8 000 000 000."""
    number = count.rstrip("KMBT")
    return int(Decimal(number) * _PARAMETER_FACTORS[count[len(number) :]])
