"""`resolve_model`: built-ins, directories and the hub's cache, without a network."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dfastllm.errors import CheckpointError
from dfastllm.models import source
from dfastllm.models.source import builtin_names, resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_cached_repository(cache: Path, name: str) -> Path:
    """A repository as the hub client lays it out on disk."""
    root = cache / f"models--{name.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    (snapshot / "config.json").write_text(json.dumps({"model_type": "llada"}))
    return snapshot


@pytest.fixture
def offline_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.mark.parametrize("name", ["builtin:small", "builtin://small"])
def test_a_built_in_is_found_by_either_spelling(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("small", "unfinished", "__pycache__"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("{}")
    (tmp_path / "small" / "model.safetensors").touch()
    monkeypatch.setattr(source, "_BUILTIN_ROOT", tmp_path)
    assert builtin_names() == ["small"]
    found = resolve_model(name)
    assert (found.directory, found.name) == (tmp_path / "small", "small")


@pytest.mark.parametrize(
    "name", ["builtin:nothing", "builtin:../models", "builtin:", "builtin:tiny-base"]
)
def test_an_unknown_built_in_lists_the_known(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "builtin_names", lambda: ["large", "tiny"])
    with pytest.raises(CheckpointError, match="there are: large, tiny"):
        resolve_model(name)


def test_a_directory_is_taken_absolute_or_with_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my-model").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (str(tmp_path / "my-model"), "./my-model", f"{tmp_path}/my-model/"):
        found = resolve_model(name)
        assert (found.directory, found.name) == (tmp_path / "my-model", "my-model")


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        resolve_model(str(tmp_path / "absent"))
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="is a file"):
        resolve_model(str(tmp_path / "file"))


def test_a_link_to_a_directory_that_is_gone_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(CheckpointError, match=r"link is a link to .*gone, which does not exist"):
        resolve_model(str(tmp_path / "link"))


def test_a_hub_name_is_served_from_the_cache_when_offline(offline_cache: Path) -> None:
    snapshot = write_cached_repository(offline_cache, "org/name")
    found = resolve_model("org/name")
    assert (found.directory, found.tokenizer_directory) == (snapshot, snapshot)
    assert found.name == "org/name"
    assert resolve_model("org/name", COMMIT).directory == snapshot


def test_the_tokenizer_may_come_from_elsewhere(offline_cache: Path, tmp_path: Path) -> None:
    snapshot = write_cached_repository(offline_cache, "org/name")
    found = resolve_model(str(tmp_path), tokenizer="org/name")
    assert (found.directory, found.tokenizer_directory) == (tmp_path, snapshot)


def test_a_hub_name_that_is_not_cached_says_what_was_tried(
    offline_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "org" / "other").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        resolve_model("org/other", "v2")
    message = str(caught.value)
    assert "org/other at revision v2" in message
    assert "offline (HF_HUB_OFFLINE)" in message
    assert str(offline_cache) in message
    assert "a directory of that name exists: ./org/other" in message


@pytest.mark.parametrize("name", ["tiny", "a/b/c", ""])
def test_a_name_that_can_be_nothing_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match="is neither a directory"):
        resolve_model(name)


def test_the_hub_environment_variables_are_honoured(tmp_path: Path) -> None:
    snapshot = write_cached_repository(tmp_path / "hub", "org/name")
    code = (
        "from dfastllm.models.source import resolve_model; import sys;"
        "print(resolve_model('org/name').directory);"
        "assert 'torch' not in sys.modules"
    )
    root = Path(source.__file__).parents[2]
    environment = os.environ | {
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(root),
    }
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(snapshot)


def test_only_data_is_asked_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = importlib.import_module("huggingface_hub")
    filter_paths = importlib.import_module("huggingface_hub.utils").filter_repo_objects
    asked: dict[str, list[str]] = {}

    def record(name: str, **options: list[str]) -> str:
        asked.update(options)
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", record)
    resolve_model("org/name")
    files = [
        "config.json", "model-00001-of-00002.safetensors", "tokenizer.json", "merges.txt",
        "chat_template.jinja", "modeling.py", "pytorch_model.bin", "model.pt", "onnx/config.json",
    ]  # fmt: skip
    kept = filter_paths(
        files, allow_patterns=asked["allow_patterns"], ignore_patterns=asked["ignore_patterns"]
    )
    assert list(kept) == files[:5]
