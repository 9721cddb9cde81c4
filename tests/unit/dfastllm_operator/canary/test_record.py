from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dfastllm_operator.api.crd import crd
from dfastllm_operator.canary.decision import News
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.record import (
    MOST_MOVES,
    from_news,
    from_status,
    kept_news,
    to_news,
    to_status,
    with_news,
)
from dfastllm_operator.canary.state import Assigned, Handled, Leaving, RolloutStatus, Tally

NOW = datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)
FULL = RolloutStatus(
    phase=RolloutPhase.ROLLING_BACK,
    since=NOW,
    stable=Assigned("A", "a"),
    candidate=Assigned("B", "b"),
    step=1,
    weight=0,
    confirmed=50,
    confirmed_at=NOW - timedelta(seconds=9),
    step_since=NOW - timedelta(seconds=10),
    extended=True,
    exposed=True,
    replicas=2,
    floor=4,
    cause=Cause.METRICS_FAILED,
    message="errorRate: 5 % is above max 1 %",
    promoting=True,
    ordered=True,
    failed="B",
    tally=Tally(failures=2, errors=1, inconclusive=1, losses=1, lost_at=NOW, measured_at=NOW),
    handled=Handled(promote="B/1", abort="B/2", retry="B/3"),
    measurements=({"metric": "errorRate", "outcome": "Fail"},),
)


@pytest.mark.parametrize(
    "status",
    [
        RolloutStatus(),
        FULL,
        replace(FULL, candidate=None, leaving=Leaving("B", "b", NOW, 2, drained=True, cut=3)),
        replace(FULL, candidate=None, leaving=Leaving("B", "b", NOW, 2, addressed=True)),
    ],
)
def test_a_status_reads_as_it_was_written(status: RolloutStatus) -> None:
    assert from_status(to_status(status)) == status


def test_it_is_spelled_for_people_and_short() -> None:
    assert to_status(RolloutStatus(since=NOW, stable=Assigned("A", "a"))) == {
        "phase": "Stable",
        "since": "2026-01-01T12:00:00.250Z",
        "stable": {"revision": "A", "slot": "a"},
    }
    written = to_status(FULL)
    assert written["cause"] == "MetricsFailed"
    assert written["stepSince"] == "2026-01-01T11:59:50.250Z"
    assert written["tally"]["lostAt"] == "2026-01-01T12:00:00.250Z"
    assert "weight" not in written
    assert (written["extended"], written["promoting"], written["ordered"]) == (True,) * 3


def test_no_status_is_a_rollout_not_begun() -> None:
    assert from_status({}) == RolloutStatus()


def test_what_a_newer_operator_wrote_beside_it_does_not_matter() -> None:
    assert from_status({**to_status(FULL), "mirror": {"x": 1}}) == FULL


@pytest.mark.parametrize(
    "edit",
    [
        {"phase": "Sideways"},
        {"cause": "Weather"},
        {"since": "yesterday"},
        {"stable": {"revision": "A"}},
        {"stable": None},
        {"candidate": {"revision": "B", "slot": "a"}},
        {"phase": "Stable"},
        {"phase": "Finalizing"},
        {"phase": "Preparing", "stable": {}},
        {"weight": 101},
    ],
)
def test_a_status_edited_by_hand_is_refused_rather_than_followed(edit: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        from_status({**to_status(FULL), **edit})


FELL = News("RolloutFailed", "It fell.", warning=True)


def test_news_reads_as_it_was_written() -> None:
    assert from_news(to_news(FELL, NOW)) == (FELL, NOW)


def test_news_stays_until_so_much_newer_is_there() -> None:
    rollout: dict[str, object] = {}
    for number in range(MOST_MOVES + 3):
        rollout = {"moves": with_news(rollout, News("Moved", str(number)), NOW)}
        assert kept_news(rollout) == rollout["moves"]
    assert [one["message"] for one in kept_news(rollout)] == [
        str(number) for number in range(3, MOST_MOVES + 3)
    ]


def test_news_in_the_form_before_stays_as_others_do() -> None:
    former = to_news(FELL, NOW)
    assert kept_news({"news": former}) == [former]
    assert with_news({"news": former}, FELL, NOW) == [former, to_news(FELL, NOW)]
    assert kept_news({}) == kept_news({"news": None, "moves": []}) == []


def test_there_is_room_for_the_news_in_the_custom_resource() -> None:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    moves = schema["properties"]["status"]["properties"]["rollout"]["properties"]["moves"]
    assert moves["maxItems"] >= MOST_MOVES
