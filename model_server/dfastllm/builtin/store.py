"""Where prepared models are kept: made once, whole or not at all, by one process at a time.

Two places are looked into: what was prepared with the installation (an image carries it) and the
user's cache. Entries are named by a hash of all that they are made of, so none is ever stale.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dfastllm.errors import CheckpointError

Build = Callable[[Path], None]
"""Fills an empty directory. What it links to stands beside it in the same store."""


def installed_store() -> Path:
    """Prepared with the installation; read only."""
    return Path(sys.prefix) / "share" / "dfastllm"


def cache_store() -> Path:
    """`$XDG_CACHE_HOME/dfastllm`, by default `~/.cache/dfastllm`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the specification has relative paths ignored
        return Path(base) / "dfastllm"
    try:
        return Path.home() / ".cache" / "dfastllm"
    except RuntimeError as error:
        raise CheckpointError("there is no home directory; XDG_CACHE_HOME is needed") from error


def kept(name: str, build: Build, store: Path | None = None) -> Path:
    """The entry `name`, built if it is not there: in `store`, else in the cache.

    Raises CheckpointError where it cannot be written, and whatever `build` raises.
    """
    if store is None and _is_whole(installed_store() / name):
        return installed_store() / name
    store = store or cache_store()
    if _is_whole(store / name):
        return store / name
    try:
        return _make(store, name, build)
    except OSError as error:
        raise CheckpointError(
            f"{name} cannot be prepared in {store}: {error}; XDG_CACHE_HOME names another place"
        ) from error


def _make(store: Path, name: str, build: Build) -> Path:
    store.mkdir(parents=True, exist_ok=True)
    final, unfinished = store / name, store / f".{name}.unfinished"
    with _locked(store / f".{name}.lock"):
        if _is_whole(final):  # another process was faster
            return final
        for leftover in (final, unfinished):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished.mkdir()
        try:
            build(unfinished)
            unfinished.rename(final)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return final


def _is_whole(entry: Path) -> bool:
    """Whether it is there with all that it links to; somebody may have removed a neighbour."""
    return entry.is_dir() and all(path.exists() for path in entry.iterdir())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
