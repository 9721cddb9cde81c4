"""What both sides did since a moment, out of looks at their counters. Pure.

A window opens once the weight of a step has been confirmed and the warm-up is over, and then only
grows. Both sides are looked at together, so that they are judged over the same time. It lives in
memory: lost in a restart, it starts anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dfastllm_operator.analysis.series import (
    ANSWERS,
    REQUESTS,
    Counts,
    Reading,
    Series,
    Unusable,
)

COMPLETED = frozenset({"stop", "length", "error"})
"""How an answer ends by itself; one that was cancelled or ran out of time shows no progress."""

SAME_START_S = 0.5
"""Prometheus may round; two processes of a container are further apart."""


class Side(StrEnum):
    """Who is looked at."""

    STABLE = "stable"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Look:
    """The pods of one side at one moment, by name: what they told, or why that is of no use."""

    readings: Mapping[str, Reading] = field(default_factory=dict)
    unusable: Mapping[str, Unusable] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """Both sides at one moment, in seconds since the epoch. A side that is left out has no pods."""

    at: float
    looks: Mapping[Side, Look]


@dataclass(frozen=True, slots=True)
class SideWindow:
    """What one side did: `totals` are the increases of its counters, summed over its pods.

    `pods` are their latest readings, `running` the requests on them at the latest look that told,
    `unusable` what was wrong with the latest look, `answered` the pods that were of use in it.
    `finished_at` is when a request ended last, `progress_at` when an answer was completed last or
    nothing was running; both begin with the window. `resets` are processes replaced by a new one.
    """

    totals: Counts = field(default_factory=dict)
    pods: Mapping[str, Reading] = field(default_factory=dict)
    unusable: Mapping[str, Unusable] = field(default_factory=dict)
    answered: int = 0
    running: float = 0.0
    resets: int = 0
    finished_at: float = 0.0
    progress_at: float = 0.0

    def total(self, name: str, *labels: str) -> float:
        """The increase of a counter, over all labels if none is given."""
        return sum(
            value
            for series, value in self.totals.items()
            if series.name == name and (not labels or series.label in labels)
        )

    def knows(self, name: str) -> bool:
        """Whether the servers export it at all."""
        return any(series.name == name for pod in self.pods.values() for series in pod.counts)


@dataclass(frozen=True, slots=True)
class Window:
    """Both sides since `opens_at`; `began_at` and `at` are the first and the latest look."""

    opens_at: float
    began_at: float | None = None
    at: float | None = None
    sides: Mapping[Side, SideWindow] = field(default_factory=dict)

    def side(self, side: Side) -> SideWindow:
        return self.sides.get(side, SideWindow())

    def after(self, sample: Sample) -> "Window":
        """The window with one more look; looks before it opens or older than the last are void."""
        if sample.at < self.opens_at or (self.at is not None and sample.at <= self.at):
            return self
        began = sample.at if self.began_at is None else self.began_at
        sides = {
            side: _after(self.sides.get(side), sample.looks.get(side, Look()), sample.at, began)
            for side in Side
        }
        return replace(self, began_at=began, at=sample.at, sides=sides)


def opening(confirmed_at: float, warmup_s: float) -> Window:
    """The window of a step whose weight the route reported at `confirmed_at`."""
    return Window(opens_at=confirmed_at + warmup_s)


def _after(before: SideWindow | None, look: Look, at: float, began: float) -> SideWindow:
    if before is None:
        before = SideWindow(finished_at=at, progress_at=at)
    totals = dict(before.totals)
    resets, finished, completed = before.resets, 0.0, 0.0
    for pod, reading in look.readings.items():
        last = before.pods.get(pod)
        if last is not None and _is_other_process(last, reading):
            resets += 1
            last = Reading({})
        elif last is None:
            # A pod that came up in the window brings all it has done, others only what follows.
            young = reading.started is not None and reading.started >= began
            last = Reading({}) if young else reading
        for series, value in reading.counts.items():
            grown = value - last.counts.get(series, 0.0)
            totals[series] = totals.get(series, 0.0) + grown
            finished += grown if series.name in (REQUESTS, ANSWERS) else 0.0
            completed += grown if _completes(series) else 0.0
    told = bool(look.readings)
    running = sum(r.running for r in look.readings.values()) if told else before.running
    moves = completed > 0 or (told and running == 0)
    return SideWindow(
        totals=totals,
        pods={**before.pods, **look.readings},
        unusable=dict(look.unusable),
        answered=len(look.readings),
        running=running,
        resets=resets,
        finished_at=at if finished > 0 else before.finished_at,
        progress_at=at if moves else before.progress_at,
    )


def _is_other_process(last: Reading, reading: Reading) -> bool:
    """Counters of one process never fall, not even one of them."""
    before, now = last.started, reading.started
    if before is not None and now is not None and abs(before - now) > SAME_START_S:
        return True
    return any(reading.counts.get(series, 0.0) < value for series, value in last.counts.items())


def _completes(series: Series) -> bool:
    return series.name == ANSWERS and series.label in COMPLETED
