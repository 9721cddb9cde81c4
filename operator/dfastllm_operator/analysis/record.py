"""A report as the state machine and the CR's status take it: short, in words. Pure.

Numbers are written as text, with their units: the API server has no good way with fractions, and
what reads them are people.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from dfastllm_operator.analysis.outcome import Check, Report
from dfastllm_operator.core import Json
from dfastllm_operator.gates import measurement as gates
from dfastllm_operator.gates.measurement import Measurement, Outcome
from dfastllm_operator.gates.metric import MetricName, Unit, written

LONGEST = 512


def measurement(report: Report, window: datetime, now: float) -> Measurement:
    """For the state machine. `window` is when the weight was confirmed that this is about.

    The time is that of asking: a source that is away brings no newer look, and counts.
    """
    return Measurement(
        at=datetime.fromtimestamp(now, UTC),
        window=window,
        outcome=report.outcome,
        checks=tuple(
            gates.Check(c.name, c.outcome, c.message, c.candidate, c.stable)
            for c in (*report.checks, *report.shown)
        ),
        entries=tuple(entries(report)),
    )


def entries(report: Report) -> list[Json]:
    """What status shows: one entry for each check that was made, in the order of the gates.

    Values that nothing is judged by come last.
    """
    return [_entry(check) for check in (*report.checks, *report.shown)]


def restarts_of(entries: Iterable[Json]) -> int:
    """What they say of restarts of the candidate; 0 where they say nothing."""
    said = (one.get("candidate") for one in entries if one.get("metric") == MetricName.RESTARTS)
    return next((int(text) for text in said if text and text.isdecimal()), 0)


def _entry(check: Check) -> Json:
    entry = {
        "metric": check.name,
        "outcome": str(check.outcome),
        "bound": _bound(check),
        "candidate": _value(check.candidate, check.unit),
        "stable": _value(check.stable, check.unit),
        "samples": check.samples or None,
        "reason": check.reason or None,
        "message": None if check.outcome is Outcome.PASS else check.message[:LONGEST] or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _bound(check: Check) -> str | None:
    if check.limit is None:
        return None
    if check.bound == "maxRegression":
        return f"{check.bound} {check.limit:g} %"
    return f"{check.bound} {written(check.limit, check.unit)}"


def _value(value: float | None, unit: Unit) -> str | None:
    if value is None:
        return None
    return "beyond the last bucket" if math.isinf(value) else written(value, unit)
