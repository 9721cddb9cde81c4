"""A checkpoint of the training becomes a model that can be served, or what ships."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dfastllm.builtin import difference
from dfastllm.builtin.assemble import prepare_base
from support import raw_results
from support.small_base import HIDDEN, LAYERS, SmallBase, model_folder, small_base
from training.smol import drafter, export

QUERY = "model.layers.0.self_attn.q_proj.weight"
PROGRESS = {"rank": 2, "seed": 1, "total_steps": 6}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallBase:
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return small_base(tmp_path / "packages")


def checkpoint(folder: Path, seed: int) -> dict[str, Tensor]:
    """What a stage leaves behind: a difference of rank 2 and its record."""
    generator = torch.Generator().manual_seed(seed)
    up, down = (torch.randn(size, generator=generator) for size in ((HIDDEN, 2), (2, HIDDEN)))
    changed = difference.pack(up, down, QUERY)
    drafter.save(changed, folder)
    (folder / "progress.json").write_text(json.dumps(PROGRESS))
    return changed


def test_a_preview_is_the_base_with_the_difference_and_the_shipped_settings(
    small: SmallBase, tmp_path: Path
) -> None:
    shipped = model_folder(tmp_path / "smol", small.origin, {})
    changed = checkpoint(tmp_path / "run", seed=1)
    made = export.preview(tmp_path / "run", tmp_path / "link", shipped=shipped)
    assert (tmp_path / "link").resolve() == made
    assert made.is_relative_to(tmp_path / "cache")
    stored = {n: t for file in made.glob("*.safetensors") for n, t in load_file(file).items()}
    assert torch.equal(stored[QUERY], difference.apply(small.tensors, changed)[QUERY].bfloat16())
    assert f"model.layers.{LAYERS - 1}.mlp.up_proj.weight" in stored
    settings = (shipped / "generation_config.json").read_text()
    assert (made / "generation_config.json").read_text() == settings
    base = prepare_base(shipped)
    assert (made / "tokenizer.json").resolve().parent == base, "the base is there once"


def test_a_preview_follows_the_training(small: SmallBase, tmp_path: Path) -> None:
    shipped = model_folder(tmp_path / "smol", small.origin, {})
    made = []
    for seed in (1, 2, 2):
        checkpoint(tmp_path / "run", seed=seed)
        made.append(export.preview(tmp_path / "run", tmp_path / "a" / "link", shipped=shipped))
    assert made[0] != made[1] == made[2]
    assert (tmp_path / "a" / "link").resolve() == made[2]


def test_a_preview_takes_no_folders_place(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(SystemExit, match="is no link"):
        export.preview(tmp_path / "run", tmp_path / "runs")


def test_what_is_exported_is_the_checkpoint_with_its_card(tmp_path: Path) -> None:
    changed = checkpoint(tmp_path / "run", seed=1)
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "difference-7.safetensors").write_text("an older one")
    raw = tmp_path / "smol.json"
    raw.write_text(json.dumps(raw_results.smol()))
    export.export(tmp_path / "run", [raw], [], shipped)
    assert drafter.read(shipped).keys() == changed.keys()
    card = (shipped / "MODEL_CARD.md").read_text()
    assert "**many** (4 questions)" in card
    assert "Not measured: facts" in card


def test_a_difference_too_large_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LARGEST_SUM", 100)
    checkpoint(tmp_path / "run", seed=1)
    with pytest.raises(SystemExit, match="too large"):
        export.export(tmp_path / "run", [], [], tmp_path / "shipped")


def test_a_folder_without_a_difference_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no difference"):
        export.export(tmp_path, [], [], tmp_path / "shipped")
