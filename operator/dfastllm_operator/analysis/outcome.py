"""What came out of a look: of one check, and of all of them together. Pure data."""

from collections.abc import Iterable
from dataclasses import dataclass

from dfastllm_operator.conditions import Described
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.metric import Unit

ORDER = (Outcome.PASS, Outcome.WAITING, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL)
"""The later, the more it weighs."""

PROGRESS = "progress"
"""Name of what is checked beside the metrics: that requests come to an end."""

SAMPLES = "samples"
"""Name of what is checked where no metric asks for it: that the candidate had requests."""


RATE = "tokensPerSecond"
"""Name of what is shown and not judged: it follows the weight."""


class Finding(Described):
    """Why a check came out as it did; one that passed has none. Or a `series.Flaw`."""

    OUT_OF_BOUNDS = "OutOfBounds", "The value is beyond the bound."
    RESTARTED = "Restarted", "Containers of the candidate were restarted since it has this weight."
    HANGS = (
        "Hangs",
        "The candidate has requests running and has finished none for as long as one may take.",
    )
    WARM_UP = "WarmUp", "`warmup` is not over."
    FEW_SAMPLES = "FewSamples", "Fewer than `minSamples` requests, but they keep coming."
    NO_TRAFFIC = "NoTraffic", "Fewer than `minSamples` requests, and none came since the last look."
    SILENT_PODS = "SilentPods", "Some pods tell nothing, so that too little is known to pass."
    SOURCE_FAILED = "SourceFailed", "Prometheus, or every pod, did not answer."


@dataclass(frozen=True, slots=True)
class Check:
    """One bound of one metric, with its numbers.

    `bound` is as in the CR (`max`, `min`, `maxRegression`), `limit` its value. `candidate` and
    `stable` are the measured values, `samples` the requests on the side that had fewer.
    """

    name: str
    outcome: Outcome
    message: str
    reason: str = ""
    bound: str = ""
    limit: float | None = None
    candidate: float | None = None
    stable: float | None = None
    samples: int = 0
    unit: Unit = Unit.COUNT


@dataclass(frozen=True, slots=True)
class Report:
    """All checks that apply, after one look. `at` is None while there was none in the window.

    `shown` are values that nothing is judged by.
    """

    checks: tuple[Check, ...]
    at: float | None = None
    began_at: float | None = None
    shown: tuple[Check, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The one that weighs most. Where nothing applies, nothing is against the candidate."""
        return max((c.outcome for c in self.checks), key=ORDER.index, default=Outcome.PASS)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of what failed, each once."""
        return _once(c.name for c in self.checks if c.outcome is Outcome.FAIL)

    @property
    def message(self) -> str:
        """Why it came out so; of a pass, what it is based on."""
        return "; ".join(_once(c.message for c in self.checks if c.outcome is self.outcome))


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
