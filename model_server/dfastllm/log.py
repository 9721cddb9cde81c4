"""One log format for everything in the process: JSON lines, or colours on a terminal.

The standard library's loggers (uvicorn, kserve, transformers) run through the same formatter.
Request lines are ours (`server.middleware.access`), so the access logs of others are off.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor

# They say what our own request line says, or speak for every request.
QUIET = {
    "uvicorn.access": logging.CRITICAL + 1,
    "uvicorn": logging.WARNING,
    "uvicorn.error": logging.WARNING,
    "kserve": logging.WARNING,
    "kserve.trace": logging.CRITICAL + 1,
    "httpx": logging.WARNING,
}


def configure(
    log_format: Literal["auto", "json", "console"] = "auto",
    log_level: str = "info",
    stream: TextIO | None = None,
) -> None:
    """Install the format on the root logger; calling it again replaces the former one."""
    out = sys.stderr if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    level = logging.getLevelNamesMapping()[log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(console, colors=out.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name, quiet in QUIET.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(level, quiet) if level > logging.DEBUG else logging.NOTSET)
    for name in ("uvicorn.access", "kserve.trace"):
        logging.getLogger(name).setLevel(QUIET[name])


def log_settings(changed: Mapping[str, object]) -> None:
    """What the operator chose, once at the start."""
    structlog.get_logger("dfastllm").info("settings", **changed)


def _renderers(console: bool, *, colors: bool) -> list[Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer(colors=colors)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=str),
    ]
