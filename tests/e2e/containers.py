"""The processes behind pods, for stories in which they die as no API could make them.

A process that is number 1 of its container cannot be killed from inside: that is done on the node,
which is this machine.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

FIRST = "1"  # of the container's own numbers


def kill(pod: dict[str, Any]) -> None:
    """SIGKILL to the main process of its only container."""
    (status,) = pod["status"]["containerStatuses"]
    _, _, container = status["containerID"].partition("://")
    os.kill(_first_process(container), signal.SIGKILL)


def restarts(pod: dict[str, Any]) -> int:
    return sum(one["restartCount"] for one in pod["status"].get("containerStatuses", []))


def _first_process(container: str) -> int:
    """Its number on this machine: containers' ids name their control groups."""
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        with suppress(OSError):  # it ended meanwhile
            process = Path(f"/proc/{pid}")
            if container in (process / "cgroup").read_text() and _number(process) == FIRST:
                return pid
    raise LookupError(f"no process of container {container} on this machine")


def _number(process: Path) -> str:
    """What it is called in the innermost of its namespaces."""
    lines = (process / "status").read_text().splitlines()
    return next(line for line in lines if line.startswith("NSpid:")).split()[-1]
