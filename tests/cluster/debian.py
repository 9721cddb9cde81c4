"""What real nodes take from the machine: programs that Debian and its kin have packages of."""

import os
import shutil
from pathlib import Path

from cluster import apt

CNI_PLUGINS = Path("/usr/lib/cni")
# By package. Some are in /usr/sbin, which is not on everybody's PATH.
PROGRAMS = {
    "busybox-static": ("busybox",),  # the image that the tests of the cluster run
    "containernetworking-plugins": ("bridge", "host-local", "loopback", "portmap"),
    "iproute2": ("ip",),
    "iptables": ("iptables", "iptables-restore"),
    "runc": ("runc",),
    "util-linux": ("mount", "nsenter", "pivot_root", "unshare"),
}
SEARCHED = ("/usr/sbin", "/usr/bin", "/sbin", "/bin", str(CNI_PLUGINS))


class Unfit(Exception):
    """What the machine lacks, and what to do about it."""


def found(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join(SEARCHED))


def missing() -> list[str]:
    """Packages."""
    return [name for name, programs in PROGRAMS.items() if not all(map(found, programs))]


def install() -> list[str]:
    """What is missing; says what that was."""
    packages = missing()
    if packages:
        require_root()
        apt.install(packages, Unfit)
    return packages


def require() -> None:
    """Root, and all packages."""
    require_root()
    if packages := missing():
        wanted = " ".join(packages)
        raise Unfit(f"needed and not installed: {wanted}; `python -m cluster packages` does it")


def require_root() -> None:
    if os.geteuid():
        raise Unfit("real nodes are namespaces and control groups of the machine: be root")
