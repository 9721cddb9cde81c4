import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from images import archives
from images.archives import Archive, NoRoom, SourcesChanged, archive_of, clean, ensure
from images.buildah import Build, BuildahFailed
from images.machine import Mount
from images.recipes import RECIPES, Choices, Recipe, Variant


class FakeBuildah:
    """Keeps what it is asked for, and writes an archive that names the image."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.builds: list[Build] = []
        self.fails = False
        self.forgotten: list[str] = []
        self.used: set[str] = set()

    def has(self, reference: str) -> bool:
        return reference in self.known

    def build(self, build: Build, log: Path) -> None:
        self.builds.append(build)
        log.write_text(f"STEP\n--> Using cache {'a' * 64}\nSTEP\n--> {'b' * 11}\n")
        if self.fails:
            raise BuildahFailed("no")

    def add_rootfs(self, archive: Path, reference: str) -> None:
        self.known.add(reference)

    def export(self, reference: str, archive: Path) -> None:
        archive.write_text(reference)

    def forget(self, reference: str) -> None:
        self.forgotten.append(reference)

    def prune(self, used: Collection[str]) -> None:
        self.used = set(used)

    def remove_containers(self) -> None: ...

    def remove_everything(self) -> None:
        self.known.clear()


@pytest.fixture
def buildah() -> FakeBuildah:
    return FakeBuildah()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, buildah: FakeBuildah, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DFASTLLM_IMAGES_CACHE", str(tmp_path))
    folder = tmp_path / "dfastllm" / "images"
    monkeypatch.setattr(archives, "Buildah", lambda _: buildah)
    monkeypatch.setattr(archives, "mounts", lambda _: [Mount(tmp_path, "/lent")])
    monkeypatch.setattr(archives, "ROOM_BYTES", 0)
    monkeypatch.setattr(archives, "ROOM_CUDA_BYTES", 0)
    monkeypatch.setattr(archives.packages, "require", lambda: None)
    monkeypatch.setattr("images.rootfs.Rootfs.make", lambda _, path: path.write_text("rootfs"))
    return folder


def made(*names: str, choices: Choices | None = None) -> dict[str, Archive]:
    return ensure(names, choices, say=lambda _: None)


def change(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    key: Callable[[Recipe, Choices], str] = Recipe.key
    monkeypatch.setattr(Recipe, "key", lambda r, c: key(r, c)[::-1] if r == recipe else key(r, c))


def test_an_archive_is_named_by_what_the_image_is_made_of(cache: Path) -> None:
    archive = made("operator")["operator"]
    key = RECIPES["operator"].key(Choices())
    assert archive == Archive(f"localhost/dfastllm-operator:{key}", cache / f"operator-{key}.tar")
    assert archive.path.read_text() == archive.reference


def test_what_is_there_is_not_built_again(buildah: FakeBuildah) -> None:
    assert made("operator", "storage-initializer") == made("storage-initializer", "operator")
    assert [build.target for build in buildah.builds] == ["operator", "storage-initializer"]


def test_a_change_builds_that_image_anew(
    buildah: FakeBuildah, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made("operator", "server")
    change(RECIPES["operator"], monkeypatch)
    after = made("operator", "server")
    assert [build.target for build in buildah.builds] == ["operator", "server", "operator"]
    assert after["server"] == before["server"]
    assert after["operator"].path.exists()


def test_the_last_few_are_kept(buildah: FakeBuildah, cache: Path) -> None:
    made("storage-initializer")
    for number in range(4):
        older = cache / f"operator-{number:012}.tar"
        older.write_text("older")
        os.utime(older, (number, number))
    made("operator")
    assert sorted(path.name for path in cache.glob("operator-00*")) == [
        "operator-000000000002.tar",
        "operator-000000000003.tar",
    ]
    assert buildah.forgotten == [
        "localhost/dfastllm-operator:000000000001",
        "localhost/dfastllm-operator:000000000000",
    ]


def test_layers_of_the_last_builds_are_kept(buildah: FakeBuildah, cache: Path) -> None:
    made("storage-initializer")
    (cache / "storage-initializer.log").write_text(f"--> {'c' * 11}\n--> not a layer\n")
    made("operator")
    assert buildah.used == {"a" * 64, "b" * 11, "c" * 11}


def test_both_variants_of_the_server_are_kept(buildah: FakeBuildah) -> None:
    cpu = made("server")["server"]
    cuda = made("server", choices=Choices(variant=Variant.CUDA, base="some/base:1"))["server"]
    assert cpu.path.exists()
    assert cuda.path.exists()
    assert [build.arguments["VARIANT"] for build in buildah.builds] == ["cpu", "cuda"]


def test_the_base_is_made_once_and_outlives_buildahs_store(
    buildah: FakeBuildah, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("operator")
    (base,) = buildah.known
    assert buildah.builds[0].arguments["BASE_IMAGE"] == base
    (kept,) = cache.glob("base-*.tar")
    buildah.known.clear()
    kept.write_text("the first")
    made("storage-initializer")
    assert buildah.known == {base}
    assert kept.read_text() == "the first"


def test_a_base_of_a_registry_is_taken_as_it_is_called(buildah: FakeBuildah, cache: Path) -> None:
    made("operator", choices=Choices(base="python:3.13-slim-trixie"))
    assert buildah.builds[0].arguments["BASE_IMAGE"] == "python:3.13-slim-trixie"
    assert not list(cache.glob("base-*"))


def test_the_machines_ways_to_packages_are_lent_and_are_no_arguments(buildah: FakeBuildah) -> None:
    made("server")
    (build,) = buildah.builds
    assert [mount.target for mount in build.mounts] == ["/lent"]
    assert set(build.arguments) == {"BASE_IMAGE", "VARIANT"}


def test_a_build_that_fails_leaves_no_archive(buildah: FakeBuildah, cache: Path) -> None:
    buildah.fails = True
    with pytest.raises(BuildahFailed):
        made("operator")
    assert not list(cache.glob("operator-*.tar"))
    buildah.fails = False
    assert made("operator")["operator"].path.exists()


def test_sources_that_change_meanwhile_make_no_archive(
    buildah: FakeBuildah, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        buildah, "build", lambda build, log: change(RECIPES["operator"], monkeypatch)
    )
    with pytest.raises(SourcesChanged, match="operator"):
        made("operator")
    assert not list(cache.glob("operator-*.tar"))


def test_a_full_disk_is_said_before_anything_is_built(
    buildah: FakeBuildah, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ROOM_BYTES", 10**18)
    with pytest.raises(NoRoom, match="GB free"):
        made("operator")
    assert not buildah.builds


def test_clean_leaves_nothing(cache: Path) -> None:
    made("operator")
    clean()
    assert not cache.exists()
    clean()


def test_the_cache_is_outside_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DFASTLLM_IMAGES_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/someone")
    expected = Path("/var/cache/someone/dfastllm/images")
    assert archive_of("operator", Choices()).path.parent == expected
