import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from dfastllm import log


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


def written(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_have_one_form() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    structlog.get_logger("ours").info("hello", answer=42)
    logging.getLogger("theirs").warning("careful %s", "there")
    ours, theirs = written(out)
    assert ours["message"] == "hello"
    assert ours["answer"] == 42
    assert theirs["message"] == "careful there"
    assert theirs["level"] == "warning"
    assert ours.keys() & theirs.keys() >= {"level", "timestamp", "message"}


def test_a_trace_is_part_of_the_one_line() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    try:
        raise ValueError("broken")
    except ValueError as error:
        logging.getLogger("theirs").error("failed", exc_info=error)
    (line,) = written(out)
    assert "ValueError: broken" in str(line["exception"])


def test_what_would_be_written_per_request_is_off() -> None:
    out = io.StringIO()
    log.configure("json", "debug", out)
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("kserve.trace").error("1 ms")
    log.configure("json", "info", out)
    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("kserve").info("Registering")
    assert out.getvalue() == ""


def test_the_level_holds_for_everybody() -> None:
    out = io.StringIO()
    log.configure("json", "error", out)
    structlog.get_logger("ours").warning("no")
    logging.getLogger("theirs").warning("no")
    structlog.get_logger("ours").error("yes")
    assert [line["message"] for line in written(out)] == ["yes"]


def test_outside_of_a_terminal_auto_means_json() -> None:
    out = io.StringIO()
    log.configure("auto", "info", out)
    structlog.get_logger("ours").info("hello")
    assert written(out)[0]["message"] == "hello"
    log.configure("console", "info", out)
    structlog.get_logger("ours").info("plain", key="value")
    assert "plain" in out.getvalue().splitlines()[-1]
    assert "key=value" in out.getvalue().splitlines()[-1]
