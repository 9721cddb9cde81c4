"""Whether a disk has room for what is about to be made: asked first, as half of it is no use."""

import shutil
from pathlib import Path

from cluster.debian import Unfit

GB = 10**9


def require(folder: Path, needed: int, what: str) -> None:
    """Raises `Unfit`, with what is needed and what there is, where `folder` is or will be."""
    disk = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(disk).free
    if free < needed:
        raise Unfit(
            f"{what} may take {needed / GB:.0f} GB, and the disk of {folder} has "
            f"{free / GB:.1f} GB free"
        )
