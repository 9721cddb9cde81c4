import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from dfastllm_operator import log


@pytest.fixture(autouse=True)
def _former_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in log.QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_kopfs_have_one_form() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    structlog.get_logger("ours").info("reconciled", service="ns/a")
    logging.getLogger("kopf.objects").warning("careful %s", "there")
    ours, theirs = written(out)
    assert (ours["message"], ours["service"]) == ("reconciled", "ns/a")
    assert (theirs["message"], theirs["level"], theirs["logger"]) == (
        "careful there",
        "warning",
        "kopf.objects",
    )


def test_what_kopf_says_of_every_event_is_not_written() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    logging.getLogger("kopf.objects").info("Handler 'forward' succeeded.")
    logging.getLogger("kopf._core.reactor.running").warning("OS signals are ignored")
    assert written(out) == []
    log.configure("json", "debug", out)
    logging.getLogger("kopf.objects").debug("all of it")
    assert [line["message"] for line in written(out)] == ["all of it"]


def test_a_trace_is_part_of_the_one_line() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    try:
        raise ValueError("broken")
    except ValueError as error:
        structlog.get_logger().warning("reconcile failed", exc_info=error)
    (line,) = written(out)
    assert "ValueError: broken" in line["exception"]


def test_a_trace_on_a_terminal_shows_no_local_variables() -> None:
    out = io.StringIO()
    log.configure("console", "info", out)
    password = "hunter2"
    try:
        raise ValueError(len(password))
    except ValueError:
        structlog.get_logger().exception("broken")
    assert "ValueError" in out.getvalue()
    assert password not in out.getvalue()


def test_auto_is_json_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    log.configure("auto", "warning", out)
    structlog.get_logger().info("less")
    structlog.get_logger().warning("more")
    assert [line["message"] for line in written(out)] == ["more"]
