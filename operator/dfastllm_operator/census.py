"""Which service is in which phase, and how many in each, as the metrics tell it."""

from collections import Counter

from dfastllm_operator.conditions import Phase
from dfastllm_operator.core import Key
from dfastllm_operator.metrics import Metrics


class Census:
    """One series for each service; a phase nobody is in is told as 0, so that alerts can fall."""

    def __init__(self, metrics: Metrics) -> None:
        self._count = metrics.services
        self._each = metrics.service_phase
        self._phases: dict[Key, str] = {}
        self._tell()

    def note(self, key: Key, phase: str) -> None:
        if self._phases.get(key) == phase:
            return
        self._drop(key)
        self._phases[key] = phase
        self._each.labels(key.namespace, key.name, phase).set(1)
        self._tell()

    def forget(self, key: Key) -> None:
        if self._drop(key):
            self._tell()

    def _drop(self, key: Key) -> bool:
        before = self._phases.pop(key, None)
        if before is None:
            return False
        self._each.remove(key.namespace, key.name, before)
        return True

    def _tell(self) -> None:
        counts = Counter(self._phases.values())
        for phase in Phase:
            self._count.labels(str(phase)).set(counts[str(phase)])
