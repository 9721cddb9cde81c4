"""Debian's packages, put in where they are missing."""

import os
import shutil
import subprocess
from collections.abc import Sequence

INSTALL_S = 900


def install(packages: Sequence[str], unfit: type[Exception]) -> None:
    """Raises `unfit`, naming them, where there is no apt-get."""
    if shutil.which("apt-get") is None:
        raise unfit(f"there is no apt-get here; install by other means: {' '.join(packages)}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (
        ("apt-get", "update", "--quiet"),
        ("apt-get", "install", "--yes", "--no-install-recommends", *packages),
    ):
        subprocess.run(argv, env=environ, check=True, timeout=INSTALL_S)
