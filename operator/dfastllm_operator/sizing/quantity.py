"""Kubernetes quantities in the one spelling the API server gives back, and in round numbers.

KServe's webhooks pass every object through Go, which rewrites `1000m` as `1` and `0.5` as `500m`.
A field in another spelling would look changed by somebody else for ever.
"""

from decimal import ROUND_CEILING, Decimal

from dfastllm_operator.api.quantity import amount

_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO = Decimal(10) ** 9
MI = 2**20
GI = 2**30


def canonical(quantity: str) -> str:
    """`quantity` as Go writes it."""
    value = amount(quantity)
    if quantity.endswith("i") and value >= 1024 and value == int(value):
        return _whole(int(value), 1024, _BINARY)
    nano = int((value * _NANO).to_integral_value(ROUND_CEILING))
    return _whole(nano, 1000, _DECIMAL)


def value(quantity: str) -> Decimal:
    """The amount of a canonical quantity, for comparing."""
    number = quantity.rstrip("numkKMGTPEi")
    suffix = quantity[len(number) :]
    if suffix in _BINARY[1:]:
        return Decimal(number) * Decimal(1024) ** _BINARY.index(suffix)
    return Decimal(number) * Decimal(1000) ** (_DECIMAL.index(suffix) - _DECIMAL.index(""))


def memory(n_bytes: int) -> str:
    """At least `n_bytes`, in steps of 256Mi, above 8Gi in steps of 1Gi."""
    step = GI if n_bytes > 8 * GI else 256 * MI
    return canonical(f"{-(-n_bytes // step) * step // MI}Mi")


def shown(n_bytes: int) -> str:
    """`n_bytes` for people: `16.1Gi`, `247Mi`."""
    for unit, suffix in ((GI, "Gi"), (MI, "Mi"), (2**10, "Ki")):
        if n_bytes >= unit:
            number = n_bytes / unit
            return (
                f"{number:.1f}".removesuffix(".0") + suffix
                if number < 100
                else f"{number:.0f}{suffix}"
            )
    return str(n_bytes)


def _whole(value: int, base: int, suffixes: tuple[str, ...]) -> str:
    if value == 0:
        return "0"
    step = 0
    while value % base == 0 and step < len(suffixes) - 1:
        value //= base
        step += 1
    return f"{value}{suffixes[step]}"
