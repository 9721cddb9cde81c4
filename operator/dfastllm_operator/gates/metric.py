"""The metrics a rollout can be judged by: name in the CR, meaning, unit, which way is better."""

from enum import StrEnum
from typing import Self

P95 = 0.95


class Better(StrEnum):
    """Which of two values is the good one."""

    LOWER = "lower"
    HIGHER = "higher"


class Unit(StrEnum):
    """How a value is written."""

    SHARE = "share"
    SECONDS = "seconds"
    TOKENS = "tokens"
    COUNT = "count"


class MetricName(StrEnum):
    """Built-in metrics of an analysis."""

    description: str
    unit: Unit
    better: Better

    def __new__(cls, value: str, description: str, unit: Unit, better: Better) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        member.unit = unit
        member.better = better
        return member

    @classmethod
    def named(cls, word: str) -> Self:
        """The member of that value; ValueError for any other word."""
        for member in cls:
            if member == word:
                return member
        raise ValueError(f"no metric {word}: choose one of {', '.join(cls)}")

    ERROR_RATE = (
        "errorRate",
        "Share of requests that the server failed: 5xx, engine aborts, broken streams, and 404 for "
        "a model it should know. Other mistakes of clients, and clients that left, do not count.",
        Unit.SHARE,
        Better.LOWER,
    )
    TIME_TO_FIRST_BLOCK = (
        "timeToFirstBlockP95",
        "Arrival to the first committed text, 95th percentile, in seconds.",
        Unit.SECONDS,
        Better.LOWER,
    )
    LATENCY = (
        "latencyP95",
        "Arrival to the last byte, 95th percentile, in seconds.",
        Unit.SECONDS,
        Better.LOWER,
    )
    QUEUE_TIME = (
        "queueTimeP95",
        "Arrival until an answer takes part in steps, 95th percentile, in seconds.",
        Unit.SECONDS,
        Better.LOWER,
    )
    TOKENS_PER_FORWARD = (
        "tokensPerForward",
        "Answer tokens by forwards, both summed over answers: how much a forward of the model "
        "commits. It does not depend on the load; a fall is a change of model or decoding.",
        Unit.TOKENS,
        Better.HIGHER,
    )
    TOKENS_PER_BUSY_SECOND = (
        "tokensPerBusySecond",
        "Answer tokens by seconds in which the engine computed. More requests at a time raise it.",
        Unit.TOKENS,
        Better.HIGHER,
    )
    RESTARTS = (
        "restarts",
        "Restarts of the candidate's containers since it got traffic in this step, from the pods' "
        "status: a process that died reports nothing.",
        Unit.COUNT,
        Better.LOWER,
    )


def written(value: float, unit: Unit) -> str:
    """A value for people and for status, short and with its unit."""
    if unit is Unit.SHARE:
        return f"{100 * value:.3g} %"
    if unit is Unit.COUNT:
        return f"{value:.0f}"
    if unit is Unit.TOKENS:
        return f"{value:.2f}" if value < 100 else f"{value:.0f}"
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
