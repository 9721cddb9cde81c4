"""What is read off a model server: against its own instruments, so that no name can drift."""

import math

import pytest

from dfastllm_operator.analysis.exposition import points
from dfastllm_operator.analysis.series import (
    ALWAYS,
    IN_FLIGHT,
    LABEL,
    REQUESTS,
    RUNNING,
    Flaw,
    Point,
    Series,
    Unusable,
    read,
)
from support.counted import CountedServer

ESSENTIAL = [
    Point(RUNNING, {}, 0.0),
    Point("dfastllm_requests_finished_total", {"outcome": "stop"}, 0.0),
]


def test_the_server_exports_every_counter_that_is_needed() -> None:
    server = CountedServer()
    server.answer()
    names = {series.name for series in server.reading().counts}
    assert names == set(LABEL)


def test_a_server_without_a_single_request_can_be_read() -> None:
    reading = CountedServer(started=77.0).reading()
    assert reading.started == 77.0
    assert reading.running == 0
    assert REQUESTS not in {series.name for series in reading.counts}


def test_only_requests_for_answers_count_and_routes_are_summed() -> None:
    server = CountedServer()
    server.fail(2, "ok", "health")
    server.fail(3, "ok", "completions")
    server.fail(4, "ok", "chat")
    assert server.reading().counts[Series(REQUESTS, "ok")] == 7


@pytest.mark.parametrize(
    ("point", "flaw"),
    [
        (Point(REQUESTS, {"route": "chat"}, 1.0), Flaw.MISSING_LABEL),
        (Point(REQUESTS, {"outcome": "ok"}, 1.0), Flaw.MISSING_LABEL),
        (Point(REQUESTS, {"route": "chat", "outcome": "ok"}, math.nan), Flaw.NOT_A_NUMBER),
        (Point(RUNNING, {}, math.nan), Flaw.NOT_A_NUMBER),
        (Point(REQUESTS, {"route": "chat", "outcome": "ok"}, -1.0), Flaw.MALFORMED),
        (Point(RUNNING, {}, math.inf), Flaw.MALFORMED),
    ],
)
def test_what_cannot_be_relied_on_is_unusable(point: Point, flaw: Flaw) -> None:
    with pytest.raises(Unusable) as caught:
        read([*ESSENTIAL, point])
    assert caught.value.flaw is flaw
    assert point.name in caught.value.message


@pytest.mark.parametrize("name", ALWAYS)
def test_metrics_of_something_else_are_no_data(name: str) -> None:
    with pytest.raises(Unusable, match="not the metrics of a model server") as caught:
        read(point for point in ESSENTIAL if point.name != name)
    assert caught.value.flaw is Flaw.NO_DATA


def test_requests_that_the_engine_has_not_seen_are_running_too() -> None:
    assert read([*ESSENTIAL, Point(IN_FLIGHT, {}, 3.0)]).running == 3


@pytest.mark.parametrize("page", [b"<html>no</html>", b"", b"some_metric 1\n"])
def test_another_page_is_no_data(page: bytes) -> None:
    with pytest.raises(Unusable) as caught:
        read(points(page))
    assert caught.value.flaw is Flaw.NO_DATA


@pytest.mark.parametrize(
    "page", [b"\xff\xfe", f"{RUNNING} many\n".encode(), f"{RUNNING}{{a\n".encode()]
)
def test_a_broken_page_is_malformed(page: bytes) -> None:
    with pytest.raises(Unusable) as caught:
        read(points(page))
    assert caught.value.flaw is Flaw.MALFORMED
