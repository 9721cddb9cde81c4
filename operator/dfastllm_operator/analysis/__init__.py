"""Is the candidate as good as stable? Counters of both sides over one window, against the gates.

The way: a `source` looks at the pods of both sides (`Scrape`, `Prometheus`), a `Window` adds up
what their counters grew by, `judge` holds the gates against it. What follows from the outcome is
the state machine's affair. All but the two sources is pure.
"""

from dfastllm_operator.analysis.outcome import Check, Report
from dfastllm_operator.analysis.prometheus import Prometheus
from dfastllm_operator.analysis.record import measurement, restarts_of
from dfastllm_operator.analysis.replay import replay
from dfastllm_operator.analysis.scrape import Scrape
from dfastllm_operator.analysis.source import Pod, Source, SourceFailed, Targets
from dfastllm_operator.analysis.verdict import judge
from dfastllm_operator.analysis.window import Sample, Side, Window, opening
from dfastllm_operator.gates.metric import MetricName
from dfastllm_operator.gates.plan import (
    DEFAULT_GATES,
    Gate,
    Limits,
    OnInconclusive,
    Plan,
    mistakes,
)

__all__ = [
    "DEFAULT_GATES",
    "Check",
    "Gate",
    "Limits",
    "MetricName",
    "OnInconclusive",
    "Plan",
    "Pod",
    "Prometheus",
    "Report",
    "Sample",
    "Scrape",
    "Side",
    "Source",
    "SourceFailed",
    "Targets",
    "Window",
    "judge",
    "measurement",
    "mistakes",
    "opening",
    "replay",
    "restarts_of",
]
