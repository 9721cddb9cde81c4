"""The store: an entry is there whole or not at all, and made once."""

import stat
import subprocess
import sys
from pathlib import Path

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
