"""A checkpoint of the training becomes a model that can be served, or what ships."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dfastllm.builtin import difference
from dfastllm.builtin.assemble import model_entry, prepare_base
from dfastllm.builtin.store import contents_of
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


def test_a_preview_makes_room_for_the_next_of_its_own_link_alone(
    small: SmallBase, tmp_path: Path
) -> None:
    shipped = model_folder(tmp_path / "smol", small.origin, {})
    made = {}
    for seed, link in ((1, "a"), (2, "b")):
        checkpoint(tmp_path / "run", seed=seed)
        made[link] = export.preview(tmp_path / "run", tmp_path / link, shipped=shipped)
        os.utime(made[link], (0, 0))  # served by its link, which marks nothing
    assert made["a"].is_dir()
    checkpoint(tmp_path / "run", seed=3)
    export.preview(tmp_path / "run", tmp_path / "b", shipped=shipped)
    assert (tmp_path / "a" / "config.json").exists()
    assert not made["b"].exists()


def test_a_preview_has_the_hash_of_what_will_ship(small: SmallBase, tmp_path: Path) -> None:
    shipped = model_folder(tmp_path / "smol", small.origin, {})
    checkpoint(tmp_path / "run", seed=1)
    made = export.preview(tmp_path / "run", tmp_path / "link", shipped=shipped)
    found = export.contents(tmp_path / "run", shipped=shipped)
    assert contents_of(made.name) == found
    for file in (tmp_path / "smol").glob("difference-*"):
        file.unlink()
    export.export(tmp_path / "run", [], [], shipped, shipped=shipped)
    assert contents_of(model_entry(shipped)) == found


def test_a_preview_takes_no_folders_place(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(SystemExit, match="is no link"):
        export.preview(tmp_path / "run", tmp_path / "runs")


def results_of_the_run(folder: Path, **changes: Any) -> Path:
    """Raw results of the checkpoint in `run`, or with other parameters."""
    body, path = raw_results.smol(), folder / "smol.json"
    body["parameters"]["checkpoint"] = f"preview-{export.contents(folder / 'run')}"
    body["parameters"] |= changes
    path.write_text(json.dumps(body))
    return path


@pytest.mark.parametrize("other", [raw_results.CHECKPOINT, "folder", None])
@pytest.mark.parametrize("speeds", [False, True])
def test_results_of_another_model_are_not_shipped(
    tmp_path: Path, other: str | None, speeds: bool
) -> None:
    checkpoint(tmp_path / "run", seed=1)
    files = ([], [results_of_the_run(tmp_path, checkpoint=other)])
    with pytest.raises(SystemExit, match="are not of this model"):
        export.export(tmp_path / "run", files[not speeds], files[speeds], tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_results_of_the_base_alone_are_of_the_base(tmp_path: Path) -> None:
    checkpoint(tmp_path / "run", seed=1)
    raw = [results_of_the_run(tmp_path), tmp_path / "base.json"]
    raw[1].write_text(json.dumps(raw_results.base()))
    export.export(tmp_path / "run", raw, [], tmp_path / "shipped")
    raw[1].write_text(json.dumps(raw_results.base()).replace("builtin:smol-base", "another"))
    with pytest.raises(SystemExit, match="results of causal:another"):
        export.export(tmp_path / "run", raw, [], tmp_path / "shipped")


def test_speeds_are_those_of_this_model_where_none_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(tmp_path / "run", seed=1)
    monkeypatch.setattr(export, "RESULTS", tmp_path)
    for name, contents in (("old", "f" * 12), ("new", export.contents(tmp_path / "run"))):
        body = raw_results.reader(50) | {"hardware": {"cpu": f"the {name} CPU"}}
        body["parameters"]["checkpoint"] = f"smol-{contents}"
        (tmp_path / f"reader-{name}.json").write_text(json.dumps(body))
    flags = ["--checkpoint", str(tmp_path / "run"), "--out", str(tmp_path / "shipped")]
    flags += ["--results", str(results_of_the_run(tmp_path))]
    monkeypatch.setattr("sys.argv", ["export", *flags])
    export.main()
    card = (tmp_path / "shipped" / "MODEL_CARD.md").read_text()
    assert "the new CPU" in card
    assert "the old CPU" not in card


def test_what_is_exported_is_the_checkpoint_with_its_card(tmp_path: Path) -> None:
    changed = checkpoint(tmp_path / "run", seed=1)
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "difference-7.safetensors").write_text("an older one")
    raw = results_of_the_run(tmp_path)
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
