"""Where prepared models are kept: made once, whole or not at all, by one process at a time.

Two places are looked into: what was prepared with the installation (an image carries it) and the
user's cache. Entries are named `FAMILY-HASH`, by a hash of all that they are made of, so none is
ever stale. Those that nobody has asked for lately make room for a newer one of their family.
"""

import fcntl
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dfastllm.errors import CheckpointError

Build = Callable[[Path], None]
"""Fills an empty directory. What it links to stands beside it in the same store."""

_log = logging.getLogger(__name__)
_ENTRY = re.compile(r"(?P<family>.+)-(?P<hash>[0-9a-f]{12})")
_IDLE_S = 24 * 3600.0
"""So long after it was last asked for, nobody is on the way to open an entry's files any more.

What is open by then stays readable: a file that is mapped or open outlives its name.
"""


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

    Removes what it supersedes there, once nobody has asked for that for a day. Raises
    CheckpointError where it cannot be written, and whatever `build` raises.
    """
    if store is None and _is_whole(installed_store() / name):
        return installed_store() / name
    store = store or cache_store()
    _mark_used(store / name)
    if not _is_whole(store / name):
        try:
            _make(store, name, build)
        except OSError as error:
            raise CheckpointError(
                f"{name} cannot be prepared in {store}: {error}; XDG_CACHE_HOME names another place"
            ) from error
    _sweep(store, name)
    return store / name


def same_entry(one: Path, other: Path) -> bool:
    """Whether both are one entry, in whichever of the two places: its name tells what is in it."""
    one, other = one.resolve(), other.resolve()
    if one == other:
        return True
    stores = [installed_store()]
    with suppress(CheckpointError):  # without a home there is but one
        stores.append(cache_store())
    ours = {store.resolve() / one.name for store in stores}
    return _ENTRY.fullmatch(one.name) is not None and {one, other} <= ours


def contents_of(name: str) -> str | None:
    """The hash in an entry's name: the same for the same contents, whatever they are called."""
    matched = _ENTRY.fullmatch(name)
    return matched and matched["hash"]


def _make(store: Path, name: str, build: Build) -> None:
    store.mkdir(parents=True, exist_ok=True)
    final, unfinished = store / name, store / f".{name}.unfinished"
    with _locked(_lock_of(final)):
        if _is_whole(final):  # another process was faster
            return
        for leftover in (final, unfinished):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished.mkdir()
        # It takes seconds, in which a server that starts would otherwise be silent.
        _log.info("making %s in %s, once", name, store)
        began = time.perf_counter()
        try:
            build(unfinished)
            unfinished.rename(final)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        _log.info("made %s in %.1f s", name, time.perf_counter() - began)


def _is_whole(entry: Path) -> bool:
    """Whether it is there with all that it links to; somebody may have removed a neighbour."""
    return entry.is_dir() and all(path.exists() for path in entry.iterdir())


def _mark_used(entry: Path) -> None:
    """Whoever looks for the entry afterwards finds it for a day, or finds it gone.

    A sweep that is about to remove it holds the lock: it is waited for, or it sees the mark.
    """
    with suppress(OSError), _locked(_lock_of(entry)):  # not there yet, or the store is read only
        os.utime(entry)


def _sweep(store: Path, name: str) -> None:
    """Remove what `name`, and what it links to, supersedes: idle entries of the same families.

    One that another entry links to stays. Whatever cannot be removed is left for the next time.
    """
    with suppress(OSError):
        entries = [p for p in store.iterdir() if _ENTRY.fullmatch(p.name) and p.is_dir()]
        ours = {name, *_linked(store / name)}
        families = {_family(one) for one in ours} - {None}
        rivals = [e for e in entries if e.name not in ours and _family(e.name) in families]
        # What links goes before what it links to, which is free then.
        for entry in sorted(rivals, key=lambda e: not _linked(e)):
            others = (e for e in entries if e != entry and e.exists())
            if not any(entry.name in _linked(other) for other in others):
                _remove_idle(entry)


def _remove_idle(entry: Path) -> None:
    """Remove an entry unless somebody makes it or has asked for it lately. Raises OSError."""
    gone = entry.with_name(f".{entry.name}.unfinished")
    with _locked(_lock_of(entry)):
        shutil.rmtree(gone, ignore_errors=True)  # what a killed process left
        if time.time() - entry.stat().st_mtime < _IDLE_S:
            return
        entry.rename(gone)  # it goes as a whole: half of one is never found under its name
        shutil.rmtree(gone, ignore_errors=True)
    _log.info("removed %s, which a newer one supersedes", entry)


def _family(name: str) -> str | None:
    matched = _ENTRY.fullmatch(name)
    return matched and matched["family"]


def _linked(entry: Path) -> set[str]:
    """Names of the entries beside it that its links point into (`../NAME`, `../NAME/FILE`)."""
    links = [path.readlink().parts for path in entry.iterdir() if path.is_symlink()]
    return {parts[1] for parts in links if len(parts) > 1 and parts[0] == ".."}


def _lock_of(entry: Path) -> Path:
    return entry.with_name(f".{entry.name}.lock")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
