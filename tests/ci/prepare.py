"""What the stories need, made where it is missing, and what forbids it.

Run as a program of its own, by `make e2e` and by CI, which ends it when the time is over. Its
status is `LACKING` where this machine cannot have it, with the reason on standard error.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cluster import apt, binaries, debian, fitness, room, standing
from cluster.debian import Unfit
from images import archives, packages
from images.packages import CannotBuild
from images.recipes import RECIPES, Choices

LACKING = 3
NODES = 2
_say = partial(print, flush=True)  # into a pipe too: it takes long


def prepare() -> None:
    machine(NODES)
    programs_and_images()


def machine(nodes: int) -> None:
    """Packages of Debian; raises `Unfit` for a machine that cannot have nodes, or has no room."""
    debian.install()
    packages.install()
    _require_room(nodes)
    fitness.require()


def programs() -> None:
    binaries.ensure(standing.NEEDED, _say)


def images() -> None:
    archives.ensure(RECIPES, say=_say)


def programs_and_images() -> None:
    """At once: the ones compute, the others wait for the network and the disk."""
    with ThreadPoolExecutor() as pool:
        for made in [pool.submit(part) for part in (programs, images)]:
            made.result()


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
    except (CannotBuild, Unfit, apt.NoLists, archives.NoRoom) as error:
        print(error, file=sys.stderr)
        return LACKING
    return 0


if __name__ == "__main__":
    sys.exit(main())
