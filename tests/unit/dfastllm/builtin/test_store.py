"""The store: an entry is there whole or not at all, and made once."""

import logging
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dfastllm.builtin import store
from dfastllm.builtin.store import cache_store, kept
from dfastllm.errors import CheckpointError

SLOW_BUILDER = """
import sys, time
from pathlib import Path
from dfastllm.builtin.store import kept
def build(directory):
    with open(sys.argv[1] + "/built", "a") as log:
        log.write("x")
    time.sleep(0.3)
    (directory / "file").write_text("whole")
print((kept("entry", build, Path(sys.argv[1])) / "file").read_text())
"""


def write(directory: Path) -> None:
    (directory / "file").write_text("whole")


def entry(store: Path, family: str, number: int, *, links: str = "", days: float = 0) -> str:
    """An entry that was asked for so many days ago, perhaps with a link into another one."""
    made = store / f"{family}-{number:012x}"
    made.mkdir(parents=True)
    write(made)
    if links:
        (made / "linked").symlink_to(Path("..") / links / "file")
    asked = time.time() - days * 24 * 3600
    os.utime(made, (asked, asked))
    return made.name


def names(store: Path) -> set[str]:
    return {path.name for path in store.iterdir() if not path.name.startswith(".")}


def fail(directory: Path) -> None:
    raise AssertionError("built again")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both places below one folder."""
    monkeypatch.setattr(store.sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_an_entry_is_made_once_in_the_cache_of_the_user(places: Path) -> None:
    made = kept("entry", write)
    assert made == places / "cache" / "dfastllm" / "entry"
    assert kept("entry", fail) == made
    assert stat.S_IMODE(made.stat().st_mode) & 0o500 == 0o500


def test_what_came_with_the_installation_is_taken_first(places: Path) -> None:
    installed = store.installed_store()
    assert installed.is_relative_to(places / "prefix")
    write_into = installed / "entry"
    write_into.mkdir(parents=True)
    write(write_into)
    assert kept("entry", fail) == write_into
    assert not (places / "cache").exists()


def test_a_store_that_is_named_is_the_only_one(places: Path) -> None:
    kept("entry", write)
    assert kept("entry", write, places / "own") == places / "own" / "entry"


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_without_a_usable_setting_the_cache_is_below_home(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_store() == tmp_path / ".cache" / "dfastllm"


def test_a_user_without_a_home_is_asked_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(store.Path, "home", nowhere)
    with pytest.raises(CheckpointError, match="XDG_CACHE_HOME is needed"):
        kept("entry", write)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def half(directory: Path) -> None:
        write(directory)
        raise CheckpointError("no base")

    with pytest.raises(CheckpointError, match="no base"):
        kept("entry", half, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".entry.lock"]
    assert (kept("entry", write, tmp_path) / "file").read_text() == "whole"


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".entry.unfinished").mkdir()
    (tmp_path / ".entry.unfinished" / "half").touch()
    made = kept("entry", write, tmp_path)
    assert [path.name for path in made.iterdir()] == ["file"]


def test_an_entry_that_links_to_something_gone_is_made_anew(tmp_path: Path) -> None:
    broken = tmp_path / "entry"
    broken.mkdir()
    (broken / "file").symlink_to("../neighbour/file")
    assert not (kept("entry", write, tmp_path) / "file").is_symlink()


def test_of_two_processes_one_waits_for_the_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW_BUILDER, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in both] == ["whole\n"] * 2
    assert (tmp_path / "built").read_text() == "x"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot be prepared in .*file: .*XDG_CACHE_HOME"):
        kept("entry", write, tmp_path / "file")


def test_making_one_is_said_before_and_after(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def build(directory: Path) -> None:
        assert caplog.messages == [f"making entry in {tmp_path}, once"]
        write(directory)

    kept("entry", build, tmp_path)
    (after,) = caplog.messages[1:]
    assert after.startswith("made entry in ")
    assert after.endswith(" s")
    kept("entry", fail, tmp_path)
    assert len(caplog.messages) == 2


def test_idle_entries_that_a_new_one_supersedes_are_removed(tmp_path: Path) -> None:
    old = entry(tmp_path, "smol", 1, days=9)
    others = {entry(tmp_path, family, 1, days=9) for family in ("smol-verifier", "tiny")}
    (tmp_path / "smol-of-somebody").mkdir()
    new = f"smol-{2:012x}"
    kept(new, write, tmp_path)
    assert names(tmp_path) == others | {new, "smol-of-somebody"}
    (tmp_path / new / "file").unlink()
    assert (kept(old, write, tmp_path) / "file").exists()  # the older version is asked for again
    assert new in names(tmp_path)


def test_nothing_is_removed_before_the_new_one_is_whole(tmp_path: Path) -> None:
    old = entry(tmp_path, "smol", 1, days=9)

    def build(directory: Path) -> None:
        assert names(tmp_path) == {old}
        raise CheckpointError("no base")

    with pytest.raises(CheckpointError, match="no base"):
        kept(f"smol-{2:012x}", build, tmp_path)
    assert names(tmp_path) == {old}


def test_one_that_was_asked_for_lately_stays_until_it_was_not(tmp_path: Path) -> None:
    old, new = entry(tmp_path, "smol", 1, days=9), entry(tmp_path, "smol", 2)
    kept(old, fail, tmp_path)  # by a process of the older version, which reads it now
    kept(new, fail, tmp_path)
    assert names(tmp_path) == {old, new}
    idle = time.time() - 2 * 24 * 3600
    os.utime(tmp_path / old, (idle, idle))
    kept(new, fail, tmp_path)
    assert names(tmp_path) == {new}


@pytest.mark.parametrize("moment", ["leftovers", "rename"])
def test_one_that_is_asked_for_while_it_is_removed_is_there_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    old = entry(tmp_path, "smol", 1, days=9)
    asked = Thread(target=kept, args=(old, write, tmp_path))

    def and_ask(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(path: object, *args: Any, **options: Any) -> Any:
            if old in str(path) and asked.ident is None:
                asked.start()
                asked.join(0.2)  # it is done, or waits for us
            return real(path, *args, **options)

        return called

    if moment == "rename":
        monkeypatch.setattr(store.Path, "rename", and_ask(store.Path.rename))
    else:
        monkeypatch.setattr(store.shutil, "rmtree", and_ask(store.shutil.rmtree))
    kept(f"smol-{2:012x}", write, tmp_path)
    assert asked.ident is not None
    asked.join()
    assert (tmp_path / old / "file").read_text() == "whole"


def test_what_is_open_outlives_its_entry(tmp_path: Path) -> None:
    old = entry(tmp_path, "smol", 1, days=9)
    with (tmp_path / old / "file").open() as opened:
        kept(f"smol-{2:012x}", write, tmp_path)
        assert old not in names(tmp_path)
        assert opened.read() == "whole"


def test_what_another_entry_links_to_stays_as_long_as_that(tmp_path: Path) -> None:
    bases = [entry(tmp_path, "base", number, days=9) for number in (1, 2)]
    old = entry(tmp_path, "smol", 1, links=bases[0])
    new = entry(tmp_path, "smol", 2, links=bases[1])
    kept(bases[1], fail, tmp_path)
    kept(new, fail, tmp_path)
    assert names(tmp_path) == {*bases, old, new}
    idle = time.time() - 2 * 24 * 3600
    os.utime(tmp_path / old, (idle, idle))
    kept(new, fail, tmp_path)
    assert names(tmp_path) == {bases[1], new}


def test_a_store_that_is_read_only_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> None:
        raise PermissionError

    old, new = entry(tmp_path, "smol", 1, days=9), entry(tmp_path, "smol", 2)
    monkeypatch.setattr(store.os, "utime", refused)
    monkeypatch.setattr(store.Path, "rename", refused)
    assert kept(new, fail, tmp_path) == tmp_path / new
    assert names(tmp_path) == {old, new}
