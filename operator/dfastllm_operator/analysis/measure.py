"""The value of each metric on one side of a window, and of how many requests it is made. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from dfastllm_operator.analysis.quantile import quantile
from dfastllm_operator.analysis.series import (
    BUSY_SECONDS,
    COUNTED_ANSWERS,
    FIRST_TEXT,
    FORWARDS,
    LATENCY,
    QUEUE,
    REQUESTS,
    TOKENS,
    Flaw,
    Unusable,
)
from dfastllm_operator.analysis.window import SideWindow
from dfastllm_operator.gates.metric import P95, MetricName

FAILED = ("server_error", "unavailable", "model_not_found")
"""Outcomes that are the server's fault. An engine that aborts an answer, or a stream that breaks,
ends its request as a server_error, whatever its status line said.
"""
FINISHED = ("ok", *FAILED)


@dataclass(frozen=True, slots=True)
class Measured:
    """`value` is None when nothing happened that it could be made of."""

    value: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One metric on both sides; `stable` is None where the bound looks at the candidate alone."""

    candidate: Measured
    stable: Measured | None = None

    @property
    def samples(self) -> int:
        """What the side with fewer requests has."""
        return min(side.samples for side in (self.candidate, self.stable) if side is not None)


def finished(side: SideWindow) -> int:
    """Requests that came to an end which says something about the server."""
    return round(side.total(REQUESTS, *FINISHED))


def measure(metric: MetricName, side: SideWindow) -> Measured:
    """Raises Unusable when the servers do not export what it takes, or export nonsense."""
    value, samples = _COMPUTED[metric](side)
    if value is not None and math.isnan(value):
        raise Unusable(Flaw.NOT_A_NUMBER, f"{metric} is not a number")
    return Measured(value, min(samples, finished(side)))


def tokens_per_second(side: SideWindow, seconds: float) -> float | None:
    """Shown, never judged: it follows the weight. None before there was time for any."""
    return side.total(TOKENS) / seconds if seconds > 0 and side.knows(TOKENS) else None


Computed = tuple[float | None, int]


def _error_rate(side: SideWindow) -> Computed:
    # Without a single request there is not one series: that is no traffic, not another server.
    count = finished(side)
    return (side.total(REQUESTS, *FAILED) / count if count else None), count


def _percentile(name: str) -> Callable[[SideWindow], Computed]:
    def computed(side: SideWindow) -> Computed:
        _needs(side, name)
        buckets = {s.label: value for s, value in side.totals.items() if s.name == name}
        return quantile(P95, buckets), round(buckets.get("+Inf", 0.0))

    return computed


def _tokens_by(divisor: str) -> Callable[[SideWindow], Computed]:
    def computed(side: SideWindow) -> Computed:
        _needs(side, TOKENS, divisor, COUNTED_ANSWERS)
        by = side.total(divisor)
        return (side.total(TOKENS) / by if by else None), round(side.total(COUNTED_ANSWERS))

    return computed


def _needs(side: SideWindow, *names: str) -> None:
    for name in names:
        if not side.knows(name):
            raise Unusable(Flaw.NO_DATA, f"the server does not export {name}")


_COMPUTED: dict[MetricName, Callable[[SideWindow], Computed]] = {
    MetricName.ERROR_RATE: _error_rate,
    MetricName.TIME_TO_FIRST_BLOCK: _percentile(FIRST_TEXT),
    MetricName.LATENCY: _percentile(LATENCY),
    MetricName.QUEUE_TIME: _percentile(QUEUE),
    MetricName.TOKENS_PER_FORWARD: _tokens_by(FORWARDS),
    MetricName.TOKENS_PER_BUSY_SECOND: _tokens_by(BUSY_SECONDS),
}
