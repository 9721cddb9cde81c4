"""How many services are in which phase, as the gauge `dfastllm_operator_services` tells it."""

from collections import Counter

from dfastllm_operator.conditions import Phase
from dfastllm_operator.core import Key
from dfastllm_operator.metrics import Metrics


class Census:
    """Counts each service once; a phase nobody is in is told as 0, so that alerts can fall."""

    def __init__(self, metrics: Metrics) -> None:
        self._gauge = metrics.services
        self._phases: dict[Key, str] = {}
        self._tell()

    def note(self, key: Key, phase: str) -> None:
        if self._phases.get(key) != phase:
            self._phases[key] = phase
            self._tell()

    def forget(self, key: Key) -> None:
        if self._phases.pop(key, None) is not None:
            self._tell()

    def _tell(self) -> None:
        counts = Counter(self._phases.values())
        for phase in Phase:
            self._gauge.labels(str(phase)).set(counts[str(phase)])
