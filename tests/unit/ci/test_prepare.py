"""What the stories need, and what is a lack of the machine."""

import subprocess
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from ci import prepare
from cluster import room, standing
from cluster.binaries import BuildFailed
from cluster.debian import Unfit
from images.archives import NoRoom
from images.packages import CannotBuild
from images.recipes import RECIPES
from images.rootfs import RootfsFailed

Usage = namedtuple("Usage", "total used free")


def raising(error: Exception) -> Callable[[], None]:
    def prepared() -> None:
        raise error

    return prepared


@pytest.mark.parametrize("kind", [CannotBuild, NoRoom, RootfsFailed, Unfit])
def test_what_the_machine_lacks_has_its_own_status(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prepare, "prepare", raising(kind("no room")))
    assert prepare.main() == prepare.LACKING
    assert capsys.readouterr().err == "no room\n"


def test_packages_that_cannot_be_had_are_a_lack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = subprocess.CalledProcessError(100, ("apt-get", "update"))
    monkeypatch.setattr(prepare, "prepare", raising(apt))
    assert prepare.main() == prepare.LACKING
    assert capsys.readouterr().err == "apt-get update ended with 100\n"


def test_what_does_not_compile_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "prepare", raising(BuildFailed("undefined: x")))
    with pytest.raises(BuildFailed):
        prepare.main()


def test_room_for_all_is_asked_for_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DFASTLLM_CLUSTER_CACHE", str(tmp_path / "cluster"))
    monkeypatch.setenv("DFASTLLM_IMAGES_CACHE", str(tmp_path))
    monkeypatch.setattr(prepare.debian, "install", lambda: None)
    monkeypatch.setattr(prepare.packages, "install", lambda: None)
    monkeypatch.setattr(prepare.standing, "find", lambda: None)
    free = 20 * room.GB
    monkeypatch.setattr(
        room.shutil, "disk_usage", lambda _: Usage(100 * room.GB, 80 * room.GB, free)
    )
    assert prepare.main() == prepare.LACKING
    assert "may take 3" in (said := capsys.readouterr().err), said
    assert "20.0 GB free" in said


def test_from_nothing_everything_takes_its_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DFASTLLM_CLUSTER_CACHE", str(tmp_path / "cluster"))
    monkeypatch.setenv("DFASTLLM_IMAGES_CACHE", str(tmp_path / "images"))
    monkeypatch.setattr(prepare.debian, "missing", lambda: ["runc"])
    assert set(RECIPES) == set(prepare.IMAGES_S)
    assert set(standing.NEEDED) > set(prepare.COMPILE_S)
    fixed = prepare.PACKAGES_S + prepare.BASE_S + sum(prepare.IMAGES_S.values())
    assert prepare.seconds() > fixed + sum(prepare.COMPILE_S.values())


def test_what_is_there_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare.debian, "missing", list)
    monkeypatch.setattr(prepare.packages, "missing", list)
    monkeypatch.setattr(prepare.binaries, "missing", lambda names: [])
    monkeypatch.setattr(prepare, "RECIPES", ())
    assert prepare.seconds() == 0
