"""What the stories need, made where it is missing; how long that may take, and what forbids it.

Run as a program of its own, by `make e2e` and by CI, which ends it when the time is over. Its
status is `LACKING` where this machine cannot have it, with the reason on standard error.
"""

import subprocess
import sys
from collections.abc import Iterator

from cluster import binaries, debian, fitness, room, standing
from cluster.debian import Unfit
from images import archives, packages
from images.packages import CannotBuild
from images.recipes import RECIPES, Choices
from images.rootfs import RootfsFailed

LACKING = 3
NODES = 2
# Seconds on two cores beside little else, from nothing but what `make test` needs.
COMPILE_S = {"containerd": 150, "coredns": 330, "kubelet": 40, "kube-proxy": 25}
COMPILE_OTHER_S = 15
IMAGES_S = {"server": 360, "operator": 100, "storage-initializer": 50}
BASE_S = 90
PACKAGES_S = 90


def seconds() -> float:
    """How long it may take."""
    return sum(_costs())


def prepare() -> None:
    machine(NODES)
    programs()
    images()


def machine(nodes: int) -> None:
    """Packages of Debian; raises `Unfit` for a machine that cannot have nodes, or has no room."""
    debian.install()
    packages.install()
    _require_room(nodes)
    fitness.require()


def programs() -> None:
    binaries.ensure(standing.NEEDED)


def images() -> None:
    archives.ensure(RECIPES)


def _costs() -> Iterator[float]:
    if debian.missing() or packages.missing():
        yield PACKAGES_S
    for name in binaries.missing(standing.NEEDED):
        yield COMPILE_S.get(name, COMPILE_OTHER_S)
    unbuilt = [n for n in RECIPES if not archives.archive_of(n, Choices()).path.exists()]
    for name in unbuilt:
        yield IMAGES_S[name]
    if unbuilt:
        yield BASE_S


def _require_room(nodes: int) -> None:
    """For all of it at once: nobody wants to know after half an hour."""
    needed = binaries.room_bytes(standing.NEEDED)
    if any(not archives.archive_of(name, Choices()).path.exists() for name in RECIPES):
        needed += archives.ROOM_BYTES
    if not standing.find():
        needed += standing.room_bytes(nodes)
    room.require(binaries.cache_folder(), needed, "what is compiled, images and a cluster")


def main() -> int:
    try:
        prepare()
    except (CannotBuild, Unfit, RootfsFailed, archives.NoRoom) as error:
        print(error, file=sys.stderr)
        return LACKING
    except subprocess.CalledProcessError as error:  # apt, which has said why
        print(f"{' '.join(error.cmd)} ended with {error.returncode}", file=sys.stderr)
        return LACKING
    return 0


if __name__ == "__main__":
    sys.exit(main())
