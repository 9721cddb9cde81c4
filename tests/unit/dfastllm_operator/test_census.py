from dfastllm_operator.census import Census
from dfastllm_operator.core import Key
from dfastllm_operator.metrics import Metrics

KEY = Key("shop", "demo")


def shown(metrics: Metrics) -> str:
    return metrics.render().decode()


def test_a_service_is_in_one_phase_at_a_time_and_leaves_no_series() -> None:
    metrics = Metrics()
    census = Census(metrics)
    census.note(KEY, "Starting")
    census.note(KEY, "Ready")
    text = shown(metrics)
    each = 'dfastllm_operator_service_phase{namespace="shop",phase="%s",service="demo"} 1.0'
    assert each % "Ready" in text
    assert each % "Starting" not in text
    assert 'dfastllm_operator_services{phase="Ready"} 1.0' in text
    assert 'dfastllm_operator_services{phase="Starting"} 0.0' in text
    census.forget(KEY)
    text = shown(metrics)
    assert 'service="demo"' not in text
    assert 'dfastllm_operator_services{phase="Ready"} 0.0' in text
