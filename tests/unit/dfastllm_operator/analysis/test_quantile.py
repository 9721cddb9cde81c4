import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfastllm_operator.analysis.quantile import quantile
from dfastllm_operator.analysis.series import Unusable

BUCKETS = {"0.1": 10.0, "0.5": 90.0, "1.0": 100.0, "+Inf": 100.0}


@pytest.mark.parametrize(
    ("q", "value"), [(0.05, 0.05), (0.1, 0.1), (0.5, 0.3), (0.95, 0.75), (1.0, 1.0)]
)
def test_a_quantile_lies_in_its_bucket_in_proportion(q: float, value: float) -> None:
    assert quantile(q, BUCKETS) == pytest.approx(value)


def test_beyond_the_last_bound_it_is_infinite() -> None:
    assert quantile(0.95, {"1.0": 90.0, "+Inf": 100.0}) == math.inf


@pytest.mark.parametrize("buckets", [{}, {"1.0": 0.0, "+Inf": 0.0}])
def test_without_observations_there_is_none(buckets: dict[str, float]) -> None:
    assert quantile(0.95, buckets) is None


@pytest.mark.parametrize(
    ("buckets", "said"),
    [
        ({"1.0": 3.0}, "no bucket le="),
        ({"x": 3.0, "+Inf": 3.0}, "a bucket's bound is 'x'"),
        ({"1.0": 3.0, "2.0": 2.0, "+Inf": 3.0}, "do not add up"),
    ],
)
def test_buckets_that_make_no_sense_are_unusable(buckets: dict[str, float], said: str) -> None:
    with pytest.raises(Unusable, match=said):
        quantile(0.95, buckets)


BOUNDS = (0.1, 0.5, 1.0, 5.0)


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_the_value_is_within_the_bucket_of_the_true_one(values: list[float], q: float) -> None:
    buckets = {str(b): float(sum(v <= b for v in values)) for b in BOUNDS}
    buckets["+Inf"] = float(len(values))
    true = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    found = quantile(q, buckets)
    upper = next((b for b in BOUNDS if true <= b), math.inf)
    lower = max((b for b in BOUNDS if b < true), default=0.0)
    assert found is not None
    assert lower - 1e-9 <= found <= upper


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=50))
def test_it_does_not_fall_with_q(values: list[float]) -> None:
    buckets = {str(b): float(sum(v <= b for v in values)) for b in BOUNDS}
    buckets["+Inf"] = float(len(values))
    found = [quantile(q, buckets) or 0.0 for q in (0.1, 0.5, 0.9, 0.99, 1.0)]
    assert found == sorted(found)
