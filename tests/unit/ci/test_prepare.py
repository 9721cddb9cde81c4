"""What the stories need, and what is a lack of the machine."""

import subprocess
import threading
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ci import prepare
from cluster import room
from cluster.apt import NoLists
from cluster.binaries import BuildFailed
from cluster.debian import Unfit
from images.archives import NoRoom
from images.packages import CannotBuild
from images.rootfs import RootfsFailed

Usage = namedtuple("Usage", "total used free")


def raising(error: Exception) -> Callable[[], None]:
    def prepared() -> None:
        raise error

    return prepared


@pytest.mark.parametrize("kind", [CannotBuild, NoLists, NoRoom, Unfit])
def test_what_the_machine_lacks_has_its_own_status(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prepare, "prepare", raising(kind("no room")))
    assert prepare.main() == prepare.LACKING
    assert capsys.readouterr().err == "no room\n"


@pytest.mark.parametrize(
    "error",
    [
        BuildFailed("undefined: x"),
        RootfsFailed("no such package"),
        subprocess.CalledProcessError(100, ("apt-get", "install", "runcc")),
    ],
)
def test_what_is_wrong_with_this_project_is_none(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "prepare", raising(error))
    with pytest.raises(type(error)):
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


def test_programs_and_images_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=60)  # broken, were one made after the other
    monkeypatch.setattr(prepare, "programs", both.wait)
    monkeypatch.setattr(prepare, "images", both.wait)
    prepare.programs_and_images()


@pytest.mark.parametrize("failing", ["programs", "images"])
def test_what_cannot_be_made_ends_nothing_of_the_other(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    for name in ("programs", "images"):
        monkeypatch.setattr(prepare, name, partial(made.append, name))
    monkeypatch.setattr(prepare, failing, raising(CannotBuild("no buildah")))
    with pytest.raises(CannotBuild):
        prepare.programs_and_images()
    assert made == [{"programs": "images", "images": "programs"}[failing]]
