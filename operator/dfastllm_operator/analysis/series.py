"""One look at one model server: which of its counters an analysis needs, read and checked.

Pure. Both sources come here, a page that was scraped and what Prometheus kept of one. A counter is
known by its name and one label; the other labels are summed over.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from dfastllm_operator.conditions import Described

REQUESTS = "dfastllm_requests_total"
ANSWERS = "dfastllm_requests_finished_total"
FIRST_TEXT = "dfastllm_time_to_first_token_seconds_bucket"
LATENCY = "dfastllm_request_seconds_bucket"
QUEUE = "dfastllm_queue_seconds_bucket"
TOKENS = "dfastllm_generation_tokens_total"
FORWARDS = "dfastllm_forwards_per_request_sum"
COUNTED_ANSWERS = "dfastllm_forwards_per_request_count"
BUSY_SECONDS = "dfastllm_step_seconds_sum"

RUNNING = "dfastllm_requests_running"
IN_FLIGHT = "dfastllm_http_requests_running"
STARTED = "process_start_time_seconds"

LABEL = {
    REQUESTS: "outcome",
    ANSWERS: "outcome",
    FIRST_TEXT: "le",
    LATENCY: "le",
    QUEUE: "le",
    TOKENS: "",
    FORWARDS: "",
    COUNTED_ANSWERS: "",
    BUSY_SECONDS: "",
}
"""The counters by the label that is kept."""

GAUGES = (RUNNING, IN_FLIGHT, STARTED)
NAMES = (*LABEL, *GAUGES)
ALWAYS = (RUNNING, ANSWERS)
"""What every model server tells from its first moment on; without them the rest means nothing."""

INFERENCE = frozenset({"chat", "completions", "predict", "infer"})
"""Routes that ask for answers; probes and scrapes would dilute an error rate."""


class Flaw(Described):
    """Why there is no usable data."""

    NO_DATA = "NoData", "A pod, or all of a side, told nothing, or not what a server always tells."
    NOT_A_NUMBER = "NotANumber", "A value that is NaN."
    STALE = "Stale", "What Prometheus has is too old: it does not scrape the pod any more."
    MISSING_LABEL = "MissingLabel", "A series lacks the label by which it is read."
    MALFORMED = "Malformed", "What a pod tells is no page of metrics."


class Unusable(Exception):
    """Data from which nothing can be concluded; the text says which and what to do."""

    def __init__(self, flaw: Flaw, message: str) -> None:
        super().__init__(message)
        self.flaw = flaw
        self.message = message

    @classmethod
    def no_pods(cls, side: str) -> Self:
        return cls(Flaw.NO_DATA, f"no pod of {side} was there to be asked")

    @classmethod
    def empty(cls, side: str) -> Self:
        return cls(Flaw.NO_DATA, f"{side} has finished requests, but none that it counts")


class Point(NamedTuple):
    """A value as it was exported."""

    name: str
    labels: Mapping[str, str]
    value: float


class Series(NamedTuple):
    """A counter as it is kept."""

    name: str
    label: str = ""


Counts = Mapping[Series, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one moment; `started` tells it from the one before in the same pod.

    `at` is that moment where it is not the one of asking: what a Prometheus has is older.
    """

    counts: Counts
    running: float = 0.0
    started: float | None = None
    at: float | None = None


def read(points: Iterable[Point]) -> Reading:
    """What counts among `points`; Unusable if it cannot be relied on."""
    counts: dict[Series, float] = {}
    gauges: dict[str, float] = {}
    for name, labels, value in points:
        if name in GAUGES:
            gauges[name] = _checked(name, value)
        elif name in LABEL and _is_inference(name, labels):
            series = Series(name, _label(name, labels))
            counts[series] = counts.get(series, 0.0) + _checked(name, value)
    seen = {series.name for series in counts} | set(gauges)
    if absent := [name for name in ALWAYS if name not in seen]:
        raise Unusable(
            Flaw.NO_DATA, f"there is no {absent[0]}: these are not the metrics of a model server"
        )
    # An engine that hangs while it has nothing to do never says that it runs something.
    running = max(gauges[RUNNING], gauges.get(IN_FLIGHT, 0.0))
    return Reading(counts, running, gauges.get(STARTED))


def _is_inference(name: str, labels: Mapping[str, str]) -> bool:
    return name != REQUESTS or _given(name, labels, "route") in INFERENCE


def _label(name: str, labels: Mapping[str, str]) -> str:
    kept = LABEL[name]
    return _given(name, labels, kept) if kept else ""


def _given(name: str, labels: Mapping[str, str], label: str) -> str:
    if label not in labels:
        raise Unusable(
            Flaw.MISSING_LABEL,
            f"{name} has no label {label}: a relabelling may have dropped or renamed it",
        )
    return labels[label]


def _checked(name: str, value: float) -> float:
    if math.isnan(value):
        raise Unusable(Flaw.NOT_A_NUMBER, f"{name} is not a number")
    if value < 0 or math.isinf(value):
        raise Unusable(Flaw.MALFORMED, f"{name} is {value}, which no counter can be")
    return value
