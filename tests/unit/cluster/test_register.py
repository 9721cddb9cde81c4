"""Programs that outlive who started them are found again, all of them and no others."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.processes import Processes, Program, until
from cluster.register import Register

# A program that starts another one and waits for it, as a node does.
ARGV = ("sh", "-c", 'echo "$GREETING"; sleep 300 & wait')


def register(folder: Path) -> Register:
    return Register(folder, {"GREETING": "hello"})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    processes = Processes(tmp_path, register(tmp_path))
    processes.start("one", Program(ARGV, lambda: True))
    processes.leave()
    until(lambda: names(tmp_path) == ["sh", "sleep"], "both run")
    yield tmp_path
    register(tmp_path).kill()


def names(folder: Path) -> list[str]:
    return sorted(process.name for process in register(folder).running())


def test_a_program_is_found_with_what_it_started(folder: Path) -> None:
    found = list(register(folder).running("one"))
    assert {process.program for process in found} == {"one"}
    assert all(process.resident_bytes > 0 for process in found)
    assert register(folder).log("one").read_text() == "hello\n"


def test_what_a_dead_program_started_is_found_too(folder: Path) -> None:
    (shell,) = (process for process in register(folder).running() if process.name == "sh")
    os.kill(shell.pid, signal.SIGKILL)
    until(lambda: names(folder) == ["sleep"], "the shell is dead")


def test_a_killed_program_starts_as_it_was(folder: Path) -> None:
    register(folder).kill("one")
    assert names(folder) == []

    register(folder).start("one")

    until(lambda: names(folder) == ["sh", "sleep"], "both run")
    assert register(folder).log("one").read_text() == "hello\nhello\n"


def test_a_running_program_is_not_started_twice(folder: Path) -> None:
    register(folder).start("one")
    assert names(folder) == ["sh", "sleep"]


def test_an_unknown_program_is_answered_with_those_there_are(folder: Path) -> None:
    for ask in (register(folder).start, register(folder).kill, register(folder).log):
        with pytest.raises(LookupError, match="no 'two'; there are one"):
            ask("two")


def test_programs_of_another_cluster_are_none_of_ours(folder: Path, tmp_path: Path) -> None:
    other = register(tmp_path / "other")
    assert list(other.running()) == []
    other.kill()
    assert names(folder) == ["sh", "sleep"]
