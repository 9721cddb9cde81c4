import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from images.recipes import RECIPES

FOLDER = RECIPES["storage-initializer"].folder


def download(uris: list[str], folders: list[str]) -> None:
    for uri, folder in zip(uris, folders, strict=True):
        if uri.startswith("nowhere:"):
            raise RuntimeError("no such\nstore")
        Path(folder, "model").write_text(uri)


@pytest.fixture
def fetch_models(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program, with a package in place of KServe's that only knows `nowhere:`."""
    package: Any = ModuleType("kserve_storage")
    package.Storage = SimpleNamespace(download_files=download)
    logging: Any = ModuleType("kserve_storage.logging")
    logging.configure_logging = lambda: None
    monkeypatch.setitem(sys.modules, "kserve_storage", package)
    monkeypatch.setitem(sys.modules, "kserve_storage.logging", logging)
    spec = importlib.util.spec_from_file_location("fetch_models", FOLDER / "fetch_models.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_model_goes_to_its_folder(fetch_models: Any, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    assert fetch_models.main(["hf://a/b", str(folders[0]), "s3://c", str(folders[1])]) == 0
    assert [(folder / "model").read_text() for folder in folders] == ["hf://a/b", "s3://c"]


def test_why_it_failed_is_the_last_line(
    fetch_models: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch_models.main(["nowhere://model", "/tmp"]) == 1
    assert capsys.readouterr().err == "cannot fetch nowhere://model: no such store\n"


@pytest.mark.parametrize("arguments", [[], ["hf://a/b"]])
def test_arguments_come_in_pairs(fetch_models: Any, arguments: list[str]) -> None:
    assert fetch_models.main(arguments) == 2


def test_the_image_is_pinned_and_runs_as_a_number() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    assert "--no-deps \\\n      --require-hashes -r" in text
    user = re.search(r"^USER (\d+):0$", text, re.MULTILINE)
    assert user
    assert int(user[1]) > 0
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert json.loads(entry)[1].endswith("/fetch_models.py")
    assert "RUN" not in text.split(" AS storage-initializer")[1], "no caches of a build"


def test_every_requirement_has_a_hash() -> None:
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    names = [number for number, line in enumerate(lines) if line[0].isalpha()]
    assert all(lines[number + 1].startswith("    --hash=sha256:") for number in names)
    assert [lines[n] for n in names if lines[n].startswith("kserve-storage==0.21.")]
