"""One log format for everything in the process: JSON lines, or colours on a terminal.

kopf's logger and those of the standard library run through the same formatter.
"""

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor

# What they say at other times is said by us, or happens for every event.
QUIET = {
    "kopf": logging.WARNING,
    "kopf._core.reactor.running": logging.ERROR,  # that it is not in the main thread, for one
    "asyncio": logging.WARNING,
    "aiohttp": logging.WARNING,
    "kubernetes": logging.WARNING,
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
        logging.getLogger(name).setLevel(max(level, quiet) if level > logging.DEBUG else level)


def _renderers(console: bool, *, colors: bool) -> list[Processor]:
    if console:
        # The pretty tracebacks show local variables, credentials among them.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=str),
    ]
