from datetime import UTC, datetime
from typing import Any

import pytest

from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.census import Census
from dfastllm_operator.core import Key
from dfastllm_operator.gates.measurement import Check, Measurement, Outcome
from dfastllm_operator.metrics import Metrics
from support.rollouts import Json, failed, under_way

KEY = Key("shop", "demo")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def shown(metrics: Metrics) -> str:
    return metrics.render().decode()


class Told:
    """A census, and what it tells of one service."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.census = Census(self.metrics)

    def note(self, rollout: Json | None, *conditions: Json) -> None:
        found: Json = {"rollout": rollout} if rollout else {}
        self.census.note(KEY, {"phase": "Ready", "conditions": list(conditions), **found})

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"dfastllm_operator_{name}", labels)

    def of_service(self, name: str, **labels: Any) -> float | None:
        return self.value(name, namespace="shop", service="demo", **labels)


@pytest.fixture
def told() -> Told:
    return Told()


def look(*checks: Check) -> Measurement:
    return Measurement(WHEN, WHEN, Outcome.PASS, checks)


def test_a_service_is_in_one_phase_at_a_time_and_leaves_no_series(told: Told) -> None:
    told.census.note(KEY, {"phase": "Starting"})
    told.census.note(KEY, {"phase": "Ready"})
    assert told.of_service("service_phase", phase="Ready") == 1
    assert told.of_service("service_phase", phase="Starting") is None
    assert told.value("services", phase="Ready") == 1
    assert told.value("services", phase="Starting") == 0
    told.census.forget(KEY)
    assert 'service="demo"' not in shown(told.metrics)
    assert told.value("services", phase="Ready") == 0


def test_a_rollout_is_told_with_its_step_weight_and_failed_checks(told: Told) -> None:
    told.note(under_way(step=1, weight=50, tally={"failures": 1}))
    assert told.of_service("rollout_phase", phase="Analyzing", cause="") == 1
    assert told.of_service("rollout_step") == 2, "people count from 1 on"
    assert told.of_service("rollout_weight") == 50
    assert told.of_service("rollout_failed_checks") == 1
    told.note(failed())
    assert told.of_service("rollout_phase", phase="Analyzing", cause="") is None
    assert told.of_service("rollout_phase", phase="Failed", cause="MetricsFailed") == 1
    assert (told.of_service("rollout_step"), told.of_service("rollout_weight")) == (0, 0)


def test_a_service_without_a_rollout_has_no_series_of_one(told: Told) -> None:
    told.note(None)
    assert told.of_service("rollout_phase", phase="Stable", cause="") is None
    assert told.of_service("rollout_weight") is None
    told.note({"phase": "Stable"})
    assert told.of_service("rollout_weight") == 0
    told.note(None)
    assert "rollout_weight{" not in shown(told.metrics)


def test_the_last_measurements_are_numbers_until_the_next_rollout(told: Told) -> None:
    told.note(under_way())
    told.census.measured(KEY, look(Check("errorRate", Outcome.PASS, "", 0.02)))
    told.census.measured(
        KEY,
        look(
            Check("tokensPerForward", Outcome.PASS, "", 3.5, 4.25),
            Check("queueTimeP95", Outcome.INCONCLUSIVE, ""),
        ),
    )

    def measured(metric: str, side: str) -> float | None:
        return told.of_service("rollout_measurement", metric=metric, side=side)

    assert measured("tokensPerForward", "candidate") == 3.5
    assert measured("tokensPerForward", "stable") == 4.25
    assert measured("errorRate", "candidate") is None, "it is judged no more"
    assert measured("queueTimeP95", "candidate") is None, "there was nothing to measure"
    told.note(failed())
    assert measured("tokensPerForward", "candidate") == 3.5
    told.note(under_way("Preparing"))
    assert measured("tokensPerForward", "candidate") is None


def test_a_change_that_is_held_is_told_with_its_reason(told: Told) -> None:
    blocked = {"type": "RolloutBlocked", "status": "True", "reason": "NoRoom"}
    told.note(None, blocked)
    assert told.of_service("rollout_blocked", reason="NoRoom") == 1
    told.note(None, {**blocked, "status": "False", "reason": "NotBlocked"})
    assert "rollout_blocked{" not in shown(told.metrics)


def test_phases_are_counted_when_they_are_entered_and_rollbacks_by_cause(told: Told) -> None:
    back = under_way("RollingBack", cause="MetricsFailed")
    told.census.moved({}, under_way("Preparing"))
    told.census.moved(under_way("Preparing"), under_way("Stepping"))
    told.census.moved(under_way("Stepping"), under_way("Stepping", weight=50))
    told.census.moved(under_way("Stepping"), back)
    told.census.moved(back, back)
    assert told.value("rollout_transitions_total", phase="Stepping") == 1
    assert told.value("rollout_transitions_total", phase="RollingBack") == 1
    assert told.value("rollout_rollbacks_total", cause="MetricsFailed") == 1


def test_what_never_happened_is_told_as_nothing(told: Told) -> None:
    for phase in RolloutPhase:
        assert told.value("rollout_transitions_total", phase=str(phase)) == 0
    assert told.value("rollout_rollbacks_total", cause=str(Cause.LOST_READINESS)) == 0
    assert told.value("rollout_rollbacks_total", cause=str(Cause.STEP_PAUSE)) is None
