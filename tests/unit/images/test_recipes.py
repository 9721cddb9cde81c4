import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from images.recipes import RECIPES, ROOT, Choices, Recipe, Variant
from images.rootfs import Rootfs

CPU = Choices()


@pytest.fixture
def small(tmp_path: Path) -> Recipe:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "source" / "inner").mkdir(parents=True)
    (tmp_path / "source" / "inner" / "a.py").write_text("a = 1\n")
    return Recipe("small", ("source",), folder=tmp_path, has_torch=True)


@pytest.mark.parametrize("name", RECIPES)
def test_what_an_image_is_made_of_is_there(name: str) -> None:
    recipe = RECIPES[name]
    assert f" AS {name}\n" in recipe.dockerfile.read_text()
    assert all((recipe.folder / source).exists() for source in recipe.sources)


@pytest.mark.parametrize("name", RECIPES)
def test_all_that_a_dockerfile_copies_is_a_source_of_one_of_its_images(name: str) -> None:
    recipe = RECIPES[name]
    siblings = [r for r in RECIPES.values() if r.dockerfile == recipe.dockerfile]
    sources = {source for sibling in siblings for source in sibling.sources}
    for line in recipe.dockerfile.read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            assert set(line.split()[1:-1]) <= sources, line


def test_the_operators_image_stays_when_the_server_changes_and_the_other_way_round() -> None:
    of_server = set(RECIPES["server"].files())
    of_operator = set(RECIPES["operator"].files())
    assert ROOT / "model_server/dfastllm/core.py" not in of_operator
    assert not [path for path in of_server if path.is_relative_to(ROOT / "operator")]
    assert ROOT / "model_server/dfastllm/__init__.py" in of_server & of_operator


def test_a_key_stays_while_nothing_changes(small: Recipe, tmp_path: Path) -> None:
    before = small.key(CPU)
    (tmp_path / "source" / "__pycache__").mkdir()
    (tmp_path / "source" / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    (tmp_path / "elsewhere").write_text("not a source")
    assert small.key(CPU) == before


def test_a_key_is_the_same_in_another_folder(small: Recipe, tmp_path: Path) -> None:
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=shutil.ignore_patterns("copy"))
    assert replace(small, folder=tmp_path / "copy").key(CPU) == small.key(CPU)


@pytest.mark.parametrize("changed", ["Dockerfile", "source/inner/a.py", "source/new.py"])
def test_a_key_changes_with_every_file(small: Recipe, tmp_path: Path, changed: str) -> None:
    before = small.key(CPU)
    (tmp_path / changed).write_text("something else\n")
    assert small.key(CPU) != before


def test_settings_of_tools_are_not_in_an_image(small: Recipe, tmp_path: Path) -> None:
    recipe = replace(small, sources=("pyproject.toml",))
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "a"\n')
    before = recipe.key(CPU)
    project.write_text('[project]\nname = "a"\n[tool.ruff]\nline-length = 100\n')
    assert recipe.key(CPU) == before
    project.write_text('[project]\nname = "a"\nlicense = "MIT"\n')
    assert recipe.key(CPU) != before


@pytest.mark.parametrize(
    "choices",
    [
        Choices(base="python:3.13-slim-trixie"),
        Choices(variant=Variant.CUDA),
        Choices(torch_requirement="torch==2.15.0+cpu"),
    ],
)
def test_a_key_changes_with_every_choice(small: Recipe, choices: Choices) -> None:
    assert small.key(choices) != small.key(CPU)


def test_the_variant_makes_no_other_operator() -> None:
    keys = {RECIPES["operator"].key(Choices(variant=variant)) for variant in Variant}
    assert len(keys) == 1


def test_the_base_is_made_without_the_machines_names_and_without_a_mirrors() -> None:
    command = Rootfs()._command("out.tar")
    assert command[-2:] == ("trixie", "out.tar")
    assert not [word for word in command if "://" in word]
    (hook,) = (word for word in command if word.startswith("--customize-hook="))
    for name in ("hostname", "resolv.conf", "apt/sources.list"):
        assert f'"$1/etc/{name}"' in hook


def test_another_base_has_another_key() -> None:
    assert Rootfs(suite="bookworm").key() != Rootfs().key()


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "images").rglob("*.*")), ids=str)
def test_no_index_and_no_registry_is_named(path: Path) -> None:
    if path.is_file() and path.suffix != ".pyc":
        assert "://" not in path.read_text()
