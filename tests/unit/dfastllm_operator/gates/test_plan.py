import pytest

from dfastllm_operator.analysis import DEFAULT_GATES, Gate, MetricName, mistakes
from dfastllm_operator.gates.metric import Unit, written


def test_the_defaults_are_errors_restarts_and_tokens_per_forward() -> None:
    assert [gate.metric for gate in DEFAULT_GATES] == ["errorRate", "restarts", "tokensPerForward"]
    assert mistakes(DEFAULT_GATES) == []


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (Gate(MetricName.ERROR_RATE), "has no bound: set max or maxRegression"),
        (Gate(MetricName.ERROR_RATE, min=0.1), "takes max or maxRegression, not min"),
        (Gate(MetricName.TOKENS_PER_FORWARD, max=3), "takes min or maxRegression, not max"),
        (Gate(MetricName.RESTARTS, max_regression=10), "is not compared with stable: it takes max"),
        (Gate(MetricName.LATENCY, max=-1), "must be numbers from 0 on"),
        (Gate(MetricName.LATENCY, max=float("nan")), "must be numbers from 0 on"),
        (Gate(MetricName.TOKENS_PER_FORWARD, max_regression=100), "must be below 100 percent"),
    ],
)
def test_a_gate_that_judges_nothing_is_refused(gate: Gate, said: str) -> None:
    (text,) = mistakes((gate,))
    assert said in text
    assert gate.metric in text


def test_a_metric_stands_in_the_list_once() -> None:
    (text,) = mistakes((Gate(MetricName.LATENCY, max=1), Gate(MetricName.LATENCY, max=2)))
    assert "stands in the list twice" in text


def test_a_metric_is_known_by_its_name_in_the_cr() -> None:
    assert MetricName.named("latencyP95") is MetricName.LATENCY
    with pytest.raises(ValueError, match="no metric latency: choose one of errorRate, "):
        MetricName.named("latency")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.01234, Unit.SHARE, "1.23 %"),
        (0.0, Unit.SHARE, "0 %"),
        (0.0421, Unit.SECONDS, "42.1 ms"),
        (12.345, Unit.SECONDS, "12.3 s"),
        (3.8512, Unit.TOKENS, "3.85"),
        (1234.5, Unit.TOKENS, "1234"),
        (2.0, Unit.COUNT, "2"),
    ],
)
def test_values_are_written_short_and_with_their_unit(value: float, unit: Unit, text: str) -> None:
    assert written(value, unit) == text
