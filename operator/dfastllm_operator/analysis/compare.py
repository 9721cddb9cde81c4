"""One bound against measured values, and the sentence about it. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from dfastllm_operator.analysis.measure import Measured, Pair
from dfastllm_operator.analysis.outcome import Check
from dfastllm_operator.analysis.series import Flaw, Unusable
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.metric import Better, MetricName, Unit, written
from dfastllm_operator.gates.plan import Gate


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound of a gate: `name` as in the CR."""

    metric: MetricName
    name: str
    limit: float

    @property
    def compares(self) -> bool:
        return self.name == "maxRegression"

    def check(
        self, outcome: Outcome, message: str, *, reason: str = "", pair: Pair | None = None
    ) -> Check:
        stable = pair.stable if pair else None
        return Check(
            name=str(self.metric),
            outcome=outcome,
            message=message,
            reason=reason,
            bound=self.name,
            limit=self.limit,
            candidate=pair.candidate.value if pair else None,
            stable=stable.value if stable else None,
            samples=pair.samples if pair else 0,
            unit=self.metric.unit,
        )


def bounds(gate: Gate) -> Iterator[Bound]:
    """The bounds that a gate sets."""
    given = (("max", gate.max), ("min", gate.min), ("maxRegression", gate.max_regression))
    for name, limit in given:
        if limit is not None:
            yield Bound(gate.metric, name, limit)


def violated(bound: Bound, pair: Pair) -> bool:
    """Whether the candidate is out of bounds; Unusable when the values cannot be compared.

    Multiplied instead of divided: against a stable without errors one error is too many, and
    nothing becomes infinite or no number on the way.
    """
    value = _value(pair.candidate)
    if bound.name == "max":
        return value > bound.limit
    if bound.name == "min":
        return value < bound.limit
    reference = _value(pair.stable)
    if math.isinf(reference):
        raise Unusable(Flaw.NO_DATA, "stable is beyond the last bucket of the histogram")
    if bound.metric.better is Better.LOWER:
        return value > reference * (1 + bound.limit / 100)
    if reference == 0:
        raise Unusable(Flaw.NO_DATA, "stable is at 0, which nothing can fall behind")
    return value < reference * (1 - bound.limit / 100)


def certain(bound: Bound, pair: Pair, min_samples: int) -> bool:
    """Whether the bound is broken already, even if every request that is missing goes well.

    Only failures can be added up so: the first ones of a candidate that fails everything are
    enough, and nobody has to lose fifty requests to it.
    """
    candidate = pair.candidate
    if bound.metric is not MetricName.ERROR_RATE or bound.name != "max" or not candidate.value:
        return False
    failures = candidate.value * candidate.samples
    return failures / max(min_samples, candidate.samples) > bound.limit


def words(bound: Bound, pair: Pair) -> str:
    """As `tokensPerForward 1.00 is 74.0 % below stable's 3.85 (allowed: 30 %)`."""
    unit = bound.metric.unit
    value = _value(pair.candidate)
    if not bound.compares:
        return (
            f"{bound.metric} {_written(value, unit)} ({bound.name}: {written(bound.limit, unit)})"
        )
    reference = _value(pair.stable)
    allowed = f"(allowed: {bound.limit:g} %)"
    base = f"{bound.metric} {_written(value, unit)}"
    if reference == 0 or math.isinf(value):
        return f"{base} against stable's {_written(reference, unit)} {allowed}"
    change = 100 * (value - reference) / reference
    if round(abs(change), 1) == 0:
        return f"{base} is as stable's {allowed}"
    where = "above" if change > 0 else "below"
    return f"{base} is {abs(change):.1f} % {where} stable's {_written(reference, unit)} {allowed}"


def _value(measured: Measured | None) -> float:
    """What has enough samples has a value, and `stable` is there for a bound that compares."""
    value = measured.value if measured is not None else None
    assert value is not None
    return value


def _written(value: float, unit: Unit) -> str:
    return "beyond the last bucket" if math.isinf(value) else written(value, unit)
