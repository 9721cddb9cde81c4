import json
from collections.abc import Callable
from pathlib import Path

import pytest

from images.buildah import Build, Buildah, BuildahFailed
from images.machine import Mount

SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" >> {folder}/arguments
{rest}
"""

Fake = Callable[[str], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a program called buildah first, which keeps its arguments and goes on as told."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def make(rest: str) -> None:
        program = tmp_path / "buildah"
        program.write_text(SCRIPT.format(folder=tmp_path, rest=rest))
        program.chmod(0o755)

    return make


def arguments(folder: Path) -> list[str]:
    return (folder / "arguments").read_text().splitlines()


def test_a_build_has_its_own_store_and_mounts_nothing_that_it_could_write(
    fake: Fake, tmp_path: Path
) -> None:
    fake("echo building")
    build = Build(
        "localhost/image:1",
        tmp_path,
        "server",
        {"VARIANT": "cpu"},
        [Mount(Path("/lent"), "/etc/there")],
    )
    Buildah(tmp_path).build(build, tmp_path / "log")
    said = arguments(tmp_path)
    assert said[:3] == [f"--root={tmp_path}/storage", f"--runroot=/run/dfastllm{tmp_path}", "build"]
    assert said[-1] == str(tmp_path)
    assert {
        "--target=server",
        "--tag=localhost/image:1",
        "--build-arg=VARIANT=cpu",
        "--volume=/lent:/etc/there:ro",
    } < set(said)
    assert (tmp_path / "log").read_text() == "building\n"


def test_a_failure_comes_with_the_end_of_what_was_said(fake: Fake, tmp_path: Path) -> None:
    fake("seq 100; echo no such package >&2; exit 1")
    build = Build("localhost/image:1", tmp_path, "server", {})
    with pytest.raises(BuildahFailed, match=r"no such package$") as caught:
        Buildah(tmp_path).build(build, tmp_path / "log")
    assert str(tmp_path / "log") in str(caught.value)
    assert "\n50\n" not in str(caught.value)


def test_what_an_image_says_of_itself_is_read(fake: Fake, tmp_path: Path) -> None:
    fake(f"echo '{json.dumps({'OCIv1': {'config': {'User': '65532:0'}}})}'")
    assert Buildah(tmp_path).image_of("container") == {"config": {"User": "65532:0"}}


def test_what_builds_left_is_removed_and_what_is_used_stays(fake: Fake, tmp_path: Path) -> None:
    fake("echo sha256:aaaa1; echo sha256:bbbb2; echo sha256:cccc3")
    Buildah(tmp_path).prune({"bbbb", "dddd"})
    said = arguments(tmp_path)
    assert [said[n + 1] for n, word in enumerate(said) if word == "rmi"] == ["aaaa1", "cccc3"]


def test_an_image_that_is_not_there_is_no_failure(fake: Fake, tmp_path: Path) -> None:
    fake("exit 125")
    assert not Buildah(tmp_path).has("localhost/image:1")
    fake("exit 0")
    assert Buildah(tmp_path).has("localhost/image:1")
