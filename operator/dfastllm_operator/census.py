"""How the services and their rollouts are, as the metrics tell it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from prometheus_client import Gauge

from dfastllm_operator.canary.phase import CAUSES_OF_ROLLBACK, RolloutPhase
from dfastllm_operator.conditions import ConditionType, Phase
from dfastllm_operator.core import Json, Key
from dfastllm_operator.gates.measurement import Measurement
from dfastllm_operator.metrics import Metrics

UNMEASURED = (RolloutPhase.STABLE, RolloutPhase.PREPARING)
"""Phases in which the last measurements are those of a rollout that is over."""

Told = Mapping[tuple[str, ...], float]


class Census:
    """Each service has its series, and takes them along when it goes.

    A phase nobody is in, and what never happened yet, is told as 0, so that alerts can fall, and
    rise.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._count = metrics.services
        self._phases: dict[Key, str] = {}
        self._phase = _Series(metrics.service_phase)
        self._rollout = _Series(metrics.rollout_phase)
        self._step = _Series(metrics.rollout_step)
        self._weight = _Series(metrics.rollout_weight)
        self._failed = _Series(metrics.rollout_failed_checks)
        self._measured = _Series(metrics.rollout_measurement)
        self._blocked = _Series(metrics.rollout_blocked)
        self._transitions = metrics.rollout_transitions
        self._rollbacks = metrics.rollout_rollbacks
        for phase in RolloutPhase:
            self._transitions.labels(str(phase))
        for cause in CAUSES_OF_ROLLBACK:
            self._rollbacks.labels(str(cause))
        self._tell()

    def note(self, key: Key, status: Json) -> None:
        """What the status of a service says."""
        phase = str(status["phase"])
        self._phase.tell(key, {(phase,): 1})
        if self._phases.get(key) != phase:
            self._phases[key] = phase
            self._tell()
        rollout = status.get("rollout")
        if rollout:
            self._note_rollout(key, rollout)
        else:
            self._forget_rollout(key)
        self._blocked.tell(key, {(reason,): 1 for reason in _blocked(status)})

    def measured(self, key: Key, found: Measurement) -> None:
        """What the latest look at the metrics of a rollout brought."""
        values: dict[tuple[str, ...], float] = {
            (check.metric, side): value
            for check in found.checks
            for side, value in (("candidate", check.candidate), ("stable", check.stable))
            if value is not None
        }
        self._measured.tell(key, values)

    def moved(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """A rollout has gone from one state to the next, as they are spelled in a status."""
        phase = after["phase"]
        if phase == before.get("phase"):
            return
        self._transitions.labels(phase).inc()
        if phase == RolloutPhase.ROLLING_BACK and (cause := after.get("cause")):
            self._rollbacks.labels(cause).inc()

    def forget(self, key: Key) -> None:
        self._phase.tell(key, {})
        self._blocked.tell(key, {})
        self._forget_rollout(key)
        if self._phases.pop(key, None) is not None:
            self._tell()

    def _note_rollout(self, key: Key, rollout: Mapping[str, Any]) -> None:
        phase, cause = str(rollout.get("phase")), str(rollout.get("cause") or "")
        self._rollout.tell(key, {(phase, cause): 1})
        step = int(rollout.get("step") or 0) + 1 if rollout.get("candidate") else 0
        self._step.tell(key, {(): step})
        self._weight.tell(key, {(): int(rollout.get("weight") or 0)})
        self._failed.tell(key, {(): int((rollout.get("tally") or {}).get("failures") or 0)})
        if phase in UNMEASURED:
            self._measured.tell(key, {})

    def _forget_rollout(self, key: Key) -> None:
        for series in (self._rollout, self._step, self._weight, self._failed, self._measured):
            series.tell(key, {})

    def _tell(self) -> None:
        counts = Counter(self._phases.values())
        for phase in Phase:
            self._count.labels(str(phase)).set(counts[str(phase)])


class _Series:
    """Those of one gauge whose labels are namespace, service and what is told."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._told: dict[Key, Told] = {}

    def tell(self, key: Key, values: Told) -> None:
        """All series of a service; what it had before and has no more is taken away."""
        before = self._told.get(key, {})
        if values == before:
            return
        for labels in before.keys() - values.keys():
            self._gauge.remove(key.namespace, key.name, *labels)
        for labels, value in values.items():
            self._gauge.labels(key.namespace, key.name, *labels).set(value)
        if values:
            self._told[key] = values
        else:
            self._told.pop(key, None)


def _blocked(status: Mapping[str, Any]) -> list[str]:
    return [
        str(condition["reason"])
        for condition in status.get("conditions") or []
        if condition["type"] == ConditionType.ROLLOUT_BLOCKED and condition["status"] == "True"
    ]
