from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from dfastllm_operator.api.duration import Duration, seconds
from dfastllm_operator.api.quantity import ParameterCount, Quantity, amount, parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", "2"), ("500m", "0.5"), ("1.5Gi", "1610612736"), ("80G", "80000000000"), ("0", "0")],
)
def test_quantities_have_an_amount(text: str, value: str) -> None:
    assert TypeAdapter(Quantity).validate_python(text) == text
    assert amount(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "count"), [("8B", 8 * 10**9), ("135M", 135 * 10**6), ("8.02B", 8020000000), ("7", 7)]
)
def test_parameters_are_counted(text: str, count: int) -> None:
    assert TypeAdapter(ParameterCount).validate_python(text) == text
    assert parameters(text) == count


@pytest.mark.parametrize(
    ("text", "length"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h0m1s", 3601), ("0s", 0)]
)
def test_durations_are_seconds(text: str, length: int) -> None:
    assert TypeAdapter(Duration).validate_python(text) == text
    assert seconds(text) == length


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Quantity, "4 Gi"),
        (Quantity, "-1"),
        (Quantity, "4GB"),
        (Quantity, True),
        (Quantity, 0.5),
        (ParameterCount, "8b"),
        (Duration, "10"),
        (Duration, "1d"),
        (Duration, "30m1h"),
        (Duration, ""),
        (Duration, 90),
    ],
)
def test_anything_else_is_refused(kind: type, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_whole_numbers_are_quantities_too() -> None:
    assert TypeAdapter(Quantity).validate_python(16) == "16"
    assert TypeAdapter(ParameterCount).validate_python(8_000_000_000) == "8000000000"
