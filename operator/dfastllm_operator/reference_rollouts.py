"""The generated page on rollouts: read from the table that decides and the words it uses."""

from collections.abc import Iterator

from dfastllm_operator.analysis.outcome import PROGRESS, RATE, SAMPLES, Finding
from dfastllm_operator.analysis.series import Flaw
from dfastllm_operator.canary import events
from dfastllm_operator.canary.diagram import mermaid
from dfastllm_operator.canary.machine import reason
from dfastllm_operator.canary.phase import GOES_ON, HOLDS, STICKY, Cause, RolloutPhase
from dfastllm_operator.canary.table import TABLE, Transition
from dfastllm_operator.conditions import Described
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.metric import MetricName
from dfastllm_operator.gates.plan import DEFAULT_GATES, Gate
from dfastllm_operator.markdown import table

HEAD = """
# Rollouts: phases, causes, events, metrics

The words in `status.rollout` of a DFastLLMService with `rollout.strategy: Canary`, or with
`rollout.maxGPUs`, and in the Events of its rollouts. How to work with them is in
[canary rollouts](../guides/canary.md); the fields are in [the custom resource](crd.md), what holds
a change is in [conditions](conditions.md).

## State diagram

Drawn from the table by which the operator decides. What keeps the phase is not shown.
"""

ROWS = """## Transitions

Of the rows of a phase the first whose question is answered with yes is taken. So the order says
what goes first: orders and the spec, then what protects clients, then what leads on. The status is
written before anything follows from it. A row without an Event is told by none.
"""

METRICS = """## Metrics of an analysis

`spec.rollout.analysis.metrics[].name`. Which of two values is the better one says which bounds a
metric takes: `max` where less is better, `min` where more is, and `maxRegression`, in percent worse
than stable.
"""

FINDINGS = f"""## Reasons of a check

`status.rollout.measurements[].reason`. A check named `{PROGRESS}` is made beside the metrics: that
requests come to an end. Another is named `{SAMPLES}`, below 100 % and where no metric asks for
requests: that the candidate had `minSamples` of them. `{RATE}` follows the weight: its outcome is
`Shown`, and nothing is judged by it.
"""


def page() -> str:
    """The page without the line that says what generates it."""
    return "\n".join([HEAD, *_lines()])


def _lines() -> Iterator[str]:
    yield f"```mermaid\n{mermaid()}```\n"
    yield "## Phases\n"
    yield "`status.rollout.phase`.\n"
    yield from _words("phase", RolloutPhase)
    yield "## Causes\n"
    yield "`status.rollout.cause`, with `message` beside it in words.\n"
    yield from table(
        ("cause", "what follows", "meaning"),
        ((f"`{cause}`", _follows(cause), cause.description) for cause in Cause),
    )
    yield ROWS
    for phase in RolloutPhase:
        yield f"### From `{phase}`\n"
        rows = [row for row in TABLE if row.source is phase]
        yield from table(("when", "to", "Event"), map(_transition, rows))
    yield "## Events\n"
    yield from table(
        ("reason", "type", "meaning"),
        ((f"`{word}`", _type(word), text) for word, text in events.reasons()),
    )
    yield METRICS
    yield from table(
        ("metric", "unit", "better", "by default", "meaning"),
        (
            (f"`{name}`", name.unit, name.better, _default(name), name.description)
            for name in MetricName
        ),
    )
    yield "## Outcomes of a look\n"
    yield "`status.rollout.measurements[].outcome`; a look is as bad as its worst check.\n"
    yield from _words("outcome", Outcome)
    yield FINDINGS
    yield from table(
        ("reason", "meaning"),
        ((f"`{word}`", word.description) for word in (*Finding, *Flaw)),
    )


def _words(head: str, words: type[Described]) -> Iterator[str]:
    yield from table((head, "meaning"), ((f"`{word}`", word.description) for word in words))


def _follows(cause: Cause) -> str:
    if cause in HOLDS:
        return "held, phase `Paused`"
    if cause in GOES_ON:
        return "promoted"
    return "rolled back, `Failed`" if cause in STICKY else "rolled back, `Stable`"


def _transition(row: Transition) -> tuple[str, str, str]:
    to = f"`{row.target}`" if row.target is not row.source else ""
    return row.words, to, "" if row.silent else f"`{reason(row)}`"


def _type(word: str) -> str:
    rows = [row for row in TABLE if not row.silent and reason(row) == word]
    kinds = {"Warning" if row.warning else "Normal" for row in rows} or {"Warning"}
    return " or ".join(sorted(kinds))


def _default(name: MetricName) -> str:
    return next((_bounds(gate) for gate in DEFAULT_GATES if gate.metric is name), "not judged")


def _bounds(gate: Gate) -> str:
    bounds = (("max", gate.max), ("min", gate.min), ("maxRegression", gate.max_regression))
    return ", ".join(f"`{word}: {value:g}`" for word, value in bounds if value is not None)
