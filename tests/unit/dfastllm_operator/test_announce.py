from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dfastllm_operator.announce import events, news_of_rollout

NOW = "2026-01-01T00:00:00Z"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def raw(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo", "namespace": "shop", "uid": "u-1"},
        "status": {"conditions": list(conditions)},
    }


def condition(kind: str, status: str, reason: str, since: str = NOW) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"{reason}!",
        "lastTransitionTime": since,
    }


def told(before: dict[str, Any], *after: dict[str, Any]) -> list[tuple[str, str]]:
    found = events(before, {"conditions": list(after)}, NOW, "pod-1")
    return [(event["type"], event["reason"]) for event in found]


def test_becoming_ready_is_one_normal_event() -> None:
    assert told(raw(), condition("Ready", "True", "Serving")) == [("Normal", "Serving")]


def test_not_being_ready_at_first_is_no_event() -> None:
    assert told(raw(), condition("Ready", "False", "Loading")) == []


def test_starting_up_is_no_news_and_falling_back_to_it_is() -> None:
    starting = condition("ModelReady", "False", "Loading")
    assert told(raw(), starting) == []
    assert told(raw(starting), condition("ModelReady", "True", "Loaded")) == []
    loaded = raw(condition("ModelReady", "True", "Loaded"))
    assert told(loaded, starting) == [("Warning", "Loading")]


def test_a_part_that_recovers_is_told() -> None:
    broken = raw(condition("ModelReady", "False", "ImagePullFailed"))
    assert told(broken, condition("ModelReady", "True", "Loaded")) == [("Normal", "Loaded")]


def test_losing_readiness_is_a_warning() -> None:
    before = raw(condition("Ready", "True", "Serving"))
    assert told(before, condition("Ready", "False", "OutOfMemory")) == [("Warning", "OutOfMemory")]


def test_the_same_state_is_not_told_again() -> None:
    state = condition("ConfigReady", "False", "SecretNotFound")
    assert told(raw(state), state) == []


def test_progress_and_the_unknown_are_not_told() -> None:
    assert told(raw(), condition("Progressing", "True", "Creating")) == []
    assert told(raw(), condition("ModelReady", "Unknown", "Blocked")) == []


def test_a_part_that_is_well_from_the_start_is_not_told() -> None:
    assert told(raw(), condition("ScalerReady", "True", "Fixed")) == []


def test_degraded_is_bad_when_true() -> None:
    assert told(raw(), condition("Degraded", "True", "Contested")) == [("Warning", "Contested")]
    broken = condition("ModelReady", "False", "ImagePullFailed")
    assert told(raw(), broken, condition("Degraded", "True", "ImagePullFailed")) == [
        ("Warning", "ImagePullFailed")
    ], "the part tells"
    held = condition("ModelReady", "True", "Loaded")
    assert told(raw(held), held, condition("Degraded", "True", "ImagePullFailed")) == [
        ("Warning", "ImagePullFailed")
    ], "an update that fails while the old revision serves"
    before = raw(condition("Degraded", "True", "Contested"))
    assert told(before, condition("Degraded", "False", "AsExpected")) == [("Normal", "AsExpected")]


def test_a_rollout_that_failed_is_told_by_its_move_and_its_end_here() -> None:
    failed = condition("Degraded", "True", "RolloutFailed")
    assert told(raw(), failed) == []
    assert told(raw(failed), condition("Degraded", "False", "AsExpected")) == [
        ("Normal", "AsExpected")
    ]


def test_the_name_follows_from_the_step_so_a_crash_cannot_tell_it_twice() -> None:
    before = raw(condition("Ready", "True", "Serving", "2025-01-01T00:00:00Z"))
    after = {"conditions": [condition("Ready", "False", "OutOfMemory", "2026-02-02T00:00:00Z")]}
    again = {"conditions": [condition("Ready", "False", "OutOfMemory", "2026-02-02T00:00:09Z")]}
    (first,) = events(before, after, NOW, "pod-1")
    (second,) = events(before, again, "2026-02-02T00:00:09Z", "pod-2")
    assert first["metadata"]["name"] == second["metadata"]["name"]
    assert first["involvedObject"]["uid"] == "u-1"


NEWS = {
    "time": "2026-01-01T00:00:00.500Z",
    "type": "Warning",
    "reason": "RolloutFailed",
    "message": "It fell.",
}


def moved(**rollout: Any) -> dict[str, Any]:
    return {"metadata": raw()["metadata"], "status": {"rollout": rollout}}


def test_a_move_is_told_as_it_was_written_by_whoever_tells_it() -> None:
    before = moved(moves=[NEWS])
    (first,), (second,) = news_of_rollout(before, "pod-1"), news_of_rollout(before, "pod-2")
    assert first.name == second.name == second.event["metadata"]["name"]
    assert first.event["lastTimestamp"] == second.event["lastTimestamp"] == NOW
    said = {key: second.event[key] for key in ("type", "reason", "message", "reportingInstance")}
    assert said == {
        "type": "Warning",
        "reason": "RolloutFailed",
        "message": "It fell.",
        "reportingInstance": "pod-2",
    }
    assert first.is_recent(AT + timedelta(minutes=30))
    assert not first.is_recent(AT + timedelta(minutes=31))


def test_moves_are_told_in_their_order() -> None:
    later = [{**NEWS, "message": message} for message in ("It rose.", "It fell again.")]
    found = news_of_rollout(moved(moves=[NEWS, *later]), "pod-1")
    assert [one.event["message"] for one in found] == ["It fell.", "It rose.", "It fell again."]
    assert len({one.name for one in found}) == 3


def test_a_move_has_the_same_event_in_the_form_before() -> None:
    assert news_of_rollout(moved(news=NEWS), "p") == news_of_rollout(moved(moves=[NEWS]), "p")


@pytest.mark.parametrize(
    "found",
    [
        raw(),
        {"metadata": {}, "status": None},
        moved(),
        moved(news=None),
        moved(news={}),
        moved(moves=[{"time": "soon", "reason": "No"}]),
    ],
)
def test_without_news_that_can_be_read_no_move_is_told(found: dict[str, Any]) -> None:
    assert news_of_rollout(found, "pod-1") == []


def test_what_somebody_else_wrote_among_them_keeps_no_other_back() -> None:
    (found,) = news_of_rollout(moved(moves=[{"time": "soon"}, NEWS]), "pod-1")
    assert found.event["reason"] == "RolloutFailed"
