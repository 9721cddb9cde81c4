"""What is read of a rollout's course: no cluster is needed for it."""

import json
from typing import Any, cast

from e2e.rollouts import Course, canary
from e2e.services import Services


class Shop:
    """As much of a namespace as a course needs."""

    namespace = "shop"


def course(*states: dict[str, Any]) -> Course:
    found = Course(cast(Services, Shop()), "demo")
    for state in states:
        found.heard_status(json.dumps(state))
    return found


def state(phase: str, second: int, **more: Any) -> dict[str, Any]:
    return {"phase": phase, "since": f"2026-01-01T00:00:{second:02}.000Z", **more}


def test_seconds_are_those_of_all_times_in_a_phase_until_it_rests() -> None:
    told = course(
        state("Stable", 0),
        state("Preparing", 10),
        state("Stepping", 15),
        state("Stepping", 15, weight=10),
        state("Analyzing", 16),
        state("Stepping", 20),
        state("Analyzing", 22),
        state("RollingBack", 25),
        state("Failed", 31),
    )
    assert told.seconds() == {
        "Preparing_s": 5,
        "Stepping_s": 3,
        "Analyzing_s": 7,
        "RollingBack_s": 6,
    }
    assert told.phases[:4] == ["Stable", "Preparing", "Stepping", "Analyzing"]


def test_routes_are_told_by_slot_when_they_change() -> None:
    told = course()
    for weights in ({"a": 100}, {"a": 100}, {"a": 90, "b": 10}, {"a": 100, "b": 0}):
        backends = [{"name": f"demo-{s}-predictor", "weight": w} for s, w in weights.items()]
        told.heard_route(json.dumps(backends))
    assert told.routes == [{"a": 100}, {"a": 90, "b": 10}, {"a": 100, "b": 0}]
    assert told.most_weight == 10


def test_an_analysis_in_a_hurry_can_be_told_more() -> None:
    rollout = canary({"weight": 5}, analysis={"minSamples": 3}, progressDeadline="9s")
    assert rollout["steps"] == [{"weight": 5}]
    assert rollout["analysis"]["minSamples"] == 3
    assert rollout["analysis"]["source"] == "scrape"
    assert rollout["progressDeadline"] == "9s"
    assert len(canary()["steps"]) == 3
