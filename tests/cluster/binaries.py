"""The rig's programs and files, built once and kept outside the checkout.

    paths = ensure(["etcd", "kubectl", "kwok-stages"])

Kept by the hash of what defines the build, so a changed pin builds anew and nothing else does. Two
runs may ask at once: one builds, the other waits.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cluster import room, toolchain
from cluster.alone import alone
from cluster.parts import Files, Part, part_of

BUILD_S = 1800.0  # one program, from nothing, on a slow machine
PROGRAM_BYTES = 1 * room.GB  # of one, with the modules and objects that the toolchain keeps of it
WAIT_S = 2 * 3600.0  # for another run that builds everything


class BuildFailed(Exception):
    """With the end of what the toolchain said."""


def cache_folder() -> Path:
    if chosen := os.environ.get("DFASTLLM_CLUSTER_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dfastllm" / "cluster"


def ensure(names: Iterable[str], say: Callable[[str], None] = print) -> dict[str, Path]:
    """Where each program, or folder of files, lies; made now if it lies nowhere."""
    paths = {name: _place(name) for name in names}
    lacking = [name for name, path in paths.items() if not path.exists()]
    if lacking:
        room.require(cache_folder(), room_bytes(lacking), f"to compile {', '.join(lacking)}")
        with alone(cache_folder(), WAIT_S):
            for name in lacking:
                if not paths[name].exists():  # another run may have made it meanwhile
                    _make(name, paths[name], say)
    return paths


def room_bytes(names: Iterable[str]) -> int:
    """What it may take on disk to compile those of them that are not there."""
    return PROGRAM_BYTES * sum(name in part_of(name).programs for name in missing(names))


def missing(names: Iterable[str]) -> list[str]:
    """What `ensure` would make."""
    return [name for name in names if not _place(name).exists()]


def _place(name: str) -> Path:
    return _given(name) or _kept(name)


def _given(name: str) -> Path | None:
    """Programs that the machine brings along, where KUBEBUILDER_ASSETS says so."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent")
    programs = ("etcd", "kube-apiserver", "kubectl")
    complete = name in programs and all((assets / program).is_file() for program in programs)
    return assets / name if complete else None


def _kept(name: str) -> Path:
    part = part_of(name)
    return cache_folder() / f"{part.name}-{part.key(name)}" / name


def _make(name: str, path: Path, say: Callable[[str], None]) -> None:
    part = part_of(name)
    start = time.monotonic()
    if name in part.programs:
        _in_place(path, lambda target: _build(part, part.programs[name], target))
    else:
        _in_place(path, lambda target: _copy(part, part.files[name], target))
    say(f"test cluster: built {name} in {time.monotonic() - start:.0f} s")


def _in_place(path: Path, make: Callable[[Path], None]) -> None:
    """Make it beside `path` and rename: what is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):  # by a build that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        make(unfinished)
        unfinished.rename(path)
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        unfinished.unlink(missing_ok=True)


def _build(part: Part, package: str, target: Path) -> None:
    # The checkout's state is no part of a program: `key` says what is.
    _go(part, "build", "-buildvcs=false", *part.build_flags, "-o", str(target), package)


def _copy(part: Part, files: tuple[Files, ...], target: Path) -> None:
    target.mkdir()
    for group in files:
        download = json.loads(_go(part, "mod", "download", "-json", group.module))
        for name in group.names:
            copied = shutil.copyfile(Path(download["Dir"]) / group.folder / name, target / name)
            copied.chmod(0o644)  # the module cache is read-only


def _go(part: Part, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [toolchain.go(), *arguments],
            cwd=part.folder,
            env=toolchain.environment(),
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"go {' '.join(arguments)}: not within {BUILD_S} s") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise BuildFailed(f"go {' '.join(arguments)} in {part.folder}:\n{tail}")
    return done.stdout
