"""What is judged during a rollout, and how strictly. Pure data, with good defaults."""

from dataclasses import dataclass
from enum import StrEnum

from dfastllm_operator.gates.metric import Better, MetricName


class OnInconclusive(StrEnum):
    """What happens when the metrics say nothing for too long."""

    PAUSE = "Pause"
    """The weight stays as it is until somebody promotes, aborts or repairs the metrics."""
    ABORT = "Abort"
    """Stable gets all traffic back."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The bounds of one metric, in its own unit.

    `max_regression` is how many percent worse than stable the candidate may be. It needs traffic
    on both sides; the other bounds look at the candidate alone.
    """

    metric: MetricName
    max: float | None = None
    min: float | None = None
    max_regression: float | None = None


DEFAULT_GATES = (
    Gate(MetricName.ERROR_RATE, max=0.01),
    Gate(MetricName.RESTARTS, max=0),
    Gate(MetricName.TOKENS_PER_FORWARD, max_regression=30),
)
"""What a bad model or a bad decoding default shows in, whatever the load. Times are not among them:
a candidate with a tenth of the traffic is quicker than stable even when it is worse.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many measurements it takes to decide against the candidate, or to give up.

    Failures are counted over the whole step: the window only grows, so a candidate on the edge is
    not saved by every second look. Errors of the source and inconclusive measurements count only in
    a row.
    """

    failures: int = 2
    errors: int = 5
    inconclusive: int = 5
    on_inconclusive: OnInconclusive = OnInconclusive.PAUSE


@dataclass(frozen=True, slots=True)
class Plan:
    """One analysis: times in seconds, `min_samples` finished requests of the candidate.

    A comparison takes as many of stable too. Where no gate asks for requests the candidate has to
    have had them all the same, before it gets everything.
    `request_timeout_s` is the longest a request may take; a candidate that finishes none for so
    long while some are running hangs.
    """

    gates: tuple[Gate, ...] = DEFAULT_GATES
    interval_s: float = 30.0
    warmup_s: float = 30.0
    min_samples: int = 50
    request_timeout_s: float = 600.0
    limits: Limits = Limits()


def mistakes(gates: tuple[Gate, ...]) -> list[str]:
    """What is wrong with the gates, one sentence each that says what to write instead."""
    found = [text for gate in gates for text in _mistakes(gate)]
    names = [gate.metric for gate in gates]
    twice = sorted({name for name in names if names.count(name) > 1})
    return found + [
        f"metric {name} stands in the list twice: give all its bounds at one place"
        for name in twice
    ]


def _mistakes(gate: Gate) -> list[str]:
    name, better = gate.metric, gate.metric.better
    bounds = (gate.max, gate.min, gate.max_regression)
    if all(bound is None for bound in bounds):
        return [f"metric {name} has no bound: set {_bounds(gate.metric)}"]
    found = []
    if gate.min is not None and better is Better.LOWER:
        found.append(f"less is better for metric {name}: it takes {_bounds(gate.metric)}, not min")
    if gate.max is not None and better is Better.HIGHER:
        found.append(f"more is better for metric {name}: it takes {_bounds(gate.metric)}, not max")
    if gate.max_regression is not None and name is MetricName.RESTARTS:
        found.append(f"metric {name} is not compared with stable: it takes max")
    if any(bound is not None and not 0 <= bound < float("inf") for bound in bounds):
        found.append(f"bounds of metric {name} must be numbers from 0 on")
    regression = gate.max_regression
    if better is Better.HIGHER and regression is not None and regression >= 100:
        found.append(f"maxRegression of metric {name} must be below 100 percent: nothing is worse")
    return found


def _bounds(metric: MetricName) -> str:
    if metric is MetricName.RESTARTS:
        return "max"
    return "max or maxRegression" if metric.better is Better.LOWER else "min or maxRegression"
