"""Debian's packages, put in where they are missing."""

import os
import shutil
import subprocess
from collections.abc import Sequence

INSTALL_S = 900


class NoLists(Exception):
    """What packages there are cannot be learned; apt-get has said why."""


def install(packages: Sequence[str], unfit: type[Exception]) -> None:
    """Raises `unfit`, naming them, where there is no apt-get; NoLists where no mirror answers."""
    if shutil.which("apt-get") is None:
        raise unfit(f"there is no apt-get here; install by other means: {' '.join(packages)}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = ("apt-get", "update", "--quiet")
    if done := subprocess.run(update, env=environ, check=False, timeout=INSTALL_S).returncode:
        raise NoLists(f"{' '.join(update)} ended with {done}")
    argv = ("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    subprocess.run(argv, env=environ, check=True, timeout=INSTALL_S)
