"""What making and trying images takes of Debian: programs, and the keys of its packages."""

import os
import shutil
from pathlib import Path

from cluster import apt

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# By package. Some are in /usr/sbin, which is not on everybody's PATH.
PROGRAMS = {
    "buildah": "buildah",
    "debian-archive-keyring": str(KEYS),
    "mmdebstrap": "mmdebstrap",
    "runc": "runc",  # runs the images in tests
}
SEARCHED = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


class CannotBuild(Exception):
    """What the machine lacks, and what to do about it."""


def missing() -> list[str]:
    """Packages."""
    return [package for package, program in PROGRAMS.items() if not _found(program)]


def install() -> list[str]:
    """What is missing; says what that was."""
    packages = missing()
    if packages:
        _require_root()
        apt.install(packages, CannotBuild)
    return packages


def require() -> None:
    """Root, and all packages."""
    _require_root()
    if packages := missing():
        wanted = " ".join(packages)
        raise CannotBuild(
            f"needed and not installed: {wanted}; `python -m images packages` does it"
        )


def _found(program: str) -> bool:
    path = os.pathsep.join(SEARCHED)
    return (
        Path(program).exists() if "/" in program else shutil.which(program, path=path) is not None
    )


def _require_root() -> None:
    if os.geteuid():
        raise CannotBuild("images are made of file systems with owners and mounts: be root")
