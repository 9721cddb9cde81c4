"""A quantile out of the buckets of a histogram. Pure."""

import math
from collections.abc import Mapping
from itertools import pairwise

from dfastllm_operator.analysis.series import Flaw, Unusable


def quantile(q: float, buckets: Mapping[str, float]) -> float | None:
    """The value that a share `q` of the observations does not exceed; None without observations.

    `buckets` are cumulative counts by upper bound, as Prometheus writes them. Inside its bucket the
    value is taken to lie in proportion. Beyond the last bound it is infinite: all that is known is
    that it is larger, and a bound must not be passed on that.
    """
    ordered = sorted((_bound(text), count) for text, count in buckets.items())
    if not ordered:
        return None
    if not math.isinf(ordered[-1][0]):
        raise Unusable(Flaw.MALFORMED, "a histogram has no bucket le=+Inf")
    total = ordered[-1][1]
    if total <= 0:
        return None
    if any(count < before for (_, before), (_, count) in pairwise(ordered)):
        raise Unusable(
            Flaw.MALFORMED,
            "the buckets of a histogram do not add up: the pods of one side may run servers of "
            "different versions",
        )
    rank = q * total
    lower, below = 0.0, 0.0
    for upper, count in ordered:
        if count >= rank and count > below:
            if math.isinf(upper):
                return math.inf
            within = (upper - lower) * max(0.0, rank - below) / (count - below)
            return min(upper, lower + within)  # rounding may exceed it by a bit
        lower, below = upper, count
    raise AssertionError("the last bucket holds every observation")


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unusable(Flaw.MALFORMED, f"a bucket's bound is {text!r}") from None
