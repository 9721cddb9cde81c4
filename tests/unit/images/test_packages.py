import subprocess
from subprocess import CompletedProcess

import pytest

from cluster.apt import NoLists
from images import packages
from images.packages import CannotBuild


@pytest.fixture
def fails() -> set[str]:
    """Verbs of apt-get."""
    return set()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, fails: set[str]) -> list[tuple[str, ...]]:
    """The commands that were run, by root on a machine with apt-get; nothing is there yet."""
    commands: list[tuple[str, ...]] = []

    def run(argv: tuple[str, ...], *, check: bool, **_: object) -> CompletedProcess[str]:
        commands.append(argv)
        done = CompletedProcess[str](argv, returncode=100 if argv[1] in fails else 0)
        if check:
            done.check_returncode()
        return done

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name, **_: name == "apt-get" or None)
    monkeypatch.setattr(packages, "PROGRAMS", {"buildah": "buildah", "keys": "/nonexistent"})
    return commands


def test_what_is_missing_is_installed(installed: list[tuple[str, ...]]) -> None:
    assert packages.install() == ["buildah", "keys"]
    update, install = installed
    assert update[:2] == ("apt-get", "update")
    assert install[:2] == ("apt-get", "install")
    assert install[-2:] == ("buildah", "keys")


def test_without_a_mirror_nothing_is_tried(
    installed: list[tuple[str, ...]], fails: set[str]
) -> None:
    fails.add("update")
    with pytest.raises(NoLists, match="apt-get update --quiet ended with 100"):
        packages.install()
    assert len(installed) == 1


def test_a_package_that_is_none_is_a_mistake_of_ours(
    installed: list[tuple[str, ...]], fails: set[str]
) -> None:
    fails.add("install")
    with pytest.raises(subprocess.CalledProcessError):
        packages.install()
    assert len(installed) == 2


def test_nothing_is_done_when_all_is_there(
    installed: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PROGRAMS", {"apt": "apt-get", "root": "/"})
    assert packages.install() == []
    packages.require()
    assert not installed


@pytest.mark.usefixtures("installed")
def test_what_is_missing_is_said_with_what_to_do() -> None:
    with pytest.raises(CannotBuild, match="buildah keys; `python -m images packages`"):
        packages.require()


@pytest.mark.usefixtures("installed")
def test_only_root_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(CannotBuild, match="root"):
        packages.require()
    with pytest.raises(CannotBuild, match="root"):
        packages.install()


@pytest.mark.usefixtures("installed")
def test_without_apt_it_is_said_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: None)
    with pytest.raises(CannotBuild, match="buildah keys"):
        packages.install()
