"""From single measurements to what follows for the step. Pure; the counts are kept in status."""

from dataclasses import replace
from enum import StrEnum

from dfastllm_operator.canary.state import Tally
from dfastllm_operator.gates.measurement import Measurement, Outcome
from dfastllm_operator.gates.plan import Limits


class Ruling(StrEnum):
    """What a measurement amounts to, those before it considered."""

    GO_ON = "GoOn"
    """Look again after the interval."""
    PASSED = "Passed"
    """The step may end."""
    FAILED = "Failed"
    """Roll back."""
    UNDECIDED = "Undecided"
    """The metrics say nothing for too long."""


def counted(tally: Tally, found: Measurement) -> Tally:
    """With one more measurement.

    Errors and inconclusive ones do not end each other's row: a source that is now away and now
    empty would never be given up.
    """
    tally = replace(tally, measured_at=found.at)
    match found.outcome:
        case Outcome.ERROR:
            return replace(tally, errors=tally.errors + 1)
        case Outcome.INCONCLUSIVE:
            return replace(tally, inconclusive=tally.inconclusive + 1)
        case Outcome.FAIL:
            return replace(tally, failures=tally.failures + 1, errors=0, inconclusive=0)
        case _:
            return replace(tally, errors=0, inconclusive=0)


def rule(tally: Tally, latest: Outcome, limits: Limits) -> Ruling:
    """A limit is reached when the count is equal to it; against the candidate goes first."""
    if tally.failures >= limits.failures:
        return Ruling.FAILED
    if tally.errors >= limits.errors or tally.inconclusive >= limits.inconclusive:
        return Ruling.UNDECIDED
    return Ruling.PASSED if latest is Outcome.PASS else Ruling.GO_ON
