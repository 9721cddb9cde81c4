"""The images as OCI archives: made when what they are made of changed, outside the checkout.

    archives = ensure(["server", "operator"])

Two runs may ask at once: one builds, the other waits.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.alone import alone
from images import packages
from images.buildah import Build, Buildah
from images.machine import mounts
from images.recipes import RECIPES, Choices, Recipe
from images.rootfs import Rootfs

WAIT_S = 2 * 3600.0  # for another run that builds everything
ROOM_BYTES = 10 * 10**9  # what the CPU's images take at most while they are made, from nothing
ROOM_CUDA_BYTES = 40 * 10**9
KEPT = 3  # archives of one image: another checkout may use an older one
_LAYER = re.compile(r"^--> (?:Using cache )?([0-9a-f]{11,})", re.MULTILINE)


class NoRoom(Exception):
    """The disk would be full before the images are there."""


class SourcesChanged(Exception):
    """What an image is made of changed while it was made: nobody knows which of both is in it."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An image on disk, and the name that it has in every store that reads it."""

    reference: str
    path: Path


def cache_folder() -> Path:
    base = (
        os.environ.get("DFASTLLM_IMAGES_CACHE")
        or os.environ.get("XDG_CACHE_HOME")
        or Path.home() / ".cache"
    )
    return Path(base) / "dfastllm" / "images"


def archive_of(name: str, choices: Choices) -> Archive:
    """Where it belongs, whether it is there or not."""
    recipe = RECIPES[name]
    key = recipe.key(choices)
    path = cache_folder() / f"{recipe.label(choices)}-{key}.tar"
    return Archive(_reference(name, key), path)


def ensure(
    names: Iterable[str], choices: Choices | None = None, say: Callable[[str], None] = print
) -> dict[str, Archive]:
    """The archive of each image, made now if it is not there."""
    choices = choices or Choices()
    archives = {name: archive_of(name, choices) for name in names}
    missing = [name for name, archive in archives.items() if not archive.path.exists()]
    if missing:
        packages.require()
        with alone(cache_folder(), WAIT_S):
            buildah = Buildah(cache_folder())
            for name in missing:
                if not archives[name].path.exists():  # another run may have made it meanwhile
                    _require_room(choices)
                    _make(buildah, RECIPES[name], choices, archives[name], say)
    return archives


def clean() -> None:
    """Remove all archives and layers."""
    if cache_folder().exists():
        with alone(cache_folder(), WAIT_S):
            Buildah(cache_folder()).remove_everything()
        shutil.rmtree(cache_folder())


def _make(
    buildah: Buildah, recipe: Recipe, choices: Choices, archive: Archive, say: Callable[[str], None]
) -> None:
    start = time.monotonic()
    buildah.remove_containers()  # of a build that was killed
    with tempfile.TemporaryDirectory() as folder:
        build = Build(
            archive.reference,
            recipe.folder,
            recipe.name,
            {**recipe.arguments(choices), "BASE_IMAGE": choices.base or _base(buildah, say)},
            mounts(Path(folder)),
        )
        log = cache_folder() / f"{recipe.label(choices)}.log"
        say(f"images: building {archive.reference}; see {log}")
        buildah.build(build, log)
    if archive_of(recipe.name, choices) != archive:
        raise SourcesChanged(f"the sources of {recipe.name} changed meanwhile: build it again")
    _in_place(archive.path, lambda path: buildah.export(archive.reference, path))
    _sweep(buildah, recipe, choices)
    took, size = time.monotonic() - start, archive.path.stat().st_size / 1e6
    say(f"images: built {archive.reference} in {took:.0f} s, {size:,.0f} MB")


def _sweep(buildah: Buildah, recipe: Recipe, choices: Choices) -> None:
    """Remove all but the last few of this image, and layers that no image's last build met."""
    found = cache_folder().glob(f"{recipe.label(choices)}-????????????.tar")
    for older in sorted(found, key=lambda path: -path.stat().st_mtime)[KEPT:]:
        older.unlink()
        buildah.forget(_reference(recipe.name, older.stem[-12:]))
    logs = [log.read_text(errors="replace") for log in cache_folder().glob("*.log")]
    buildah.prune({layer for log in logs for layer in _LAYER.findall(log)})


def _reference(name: str, key: str) -> str:
    return f"localhost/dfastllm-{name}:{key}"


def _base(buildah: Buildah, say: Callable[[str], None]) -> str:
    """The image of Debian's packages; its archive outlives buildah's own store."""
    rootfs = Rootfs()
    reference = _reference("base", rootfs.key())
    if not buildah.has(reference):
        archive = cache_folder() / f"base-{rootfs.key()}.tar"
        if not archive.exists():
            start = time.monotonic()
            _in_place(archive, rootfs.make)
            say(f"images: made {reference} in {time.monotonic() - start:.0f} s")
        buildah.add_rootfs(archive, reference)
    return reference


def _in_place(path: Path, make: Callable[[Path], None]) -> None:
    """Make it beside `path` and rename: what is there is whole."""
    unfinished = path.with_name(f"{path.stem}.unfinished.tar")
    unfinished.unlink(missing_ok=True)  # of a run that was killed
    try:
        make(unfinished)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _require_room(choices: Choices) -> None:
    needed = ROOM_BYTES if choices.variant == "cpu" else ROOM_CUDA_BYTES
    free = shutil.disk_usage(cache_folder()).free
    if free < needed:
        raise NoRoom(
            f"{cache_folder()} has {free / 1e9:.0f} GB free, and building may take "
            f"{needed / 1e9:.0f}; `python -m images clean` gives back what older builds took"
        )
