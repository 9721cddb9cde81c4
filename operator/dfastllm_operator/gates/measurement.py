"""What one look at the metrics amounts to. Pure data, made by the analysis."""

from dataclasses import dataclass
from datetime import datetime

from dfastllm_operator.conditions import Described
from dfastllm_operator.core import Json


class Outcome(Described):
    """What a look, or one check of it, says."""

    PASS = "Pass", "Every gate was checked and held."
    FAIL = "Fail", "At least one gate was checked and did not hold; counts for `failureLimit`."
    INCONCLUSIVE = (
        "Inconclusive",
        "There was nothing to check a gate on: no data, NaN, stale, a missing label, no traffic; "
        "counts for `inconclusiveLimit`.",
    )
    ERROR = "Error", "The source could not be asked; counts for `errorLimit`."
    WAITING = "Waiting", "Too few requests yet, but their number grows; counts as nothing."
    SHOWN = "Shown", "Nothing is judged by it: a value for people. A look never comes out so."


@dataclass(frozen=True, slots=True)
class Check:
    """One gate: `metric` by its name in the CR, a sentence with the numbers, and the numbers."""

    metric: str
    outcome: Outcome
    text: str
    candidate: float | None = None
    stable: float | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """All gates at one moment.

    `window` is the `confirmed_at` of the status that it was taken for: one of another step, or of
    another candidate, is void. `outcome` is the worst of the checks, Fail first. `entries` are what
    the status shows of it.
    """

    at: datetime
    window: datetime
    outcome: Outcome
    checks: tuple[Check, ...] = ()
    entries: tuple[Json, ...] = ()

    @property
    def message(self) -> str:
        """Why it came out so."""
        said = [c.text for c in self.checks if c.outcome is self.outcome]
        return "; ".join(dict.fromkeys(said))
