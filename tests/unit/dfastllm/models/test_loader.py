"""`load_weights`: tensors land in the right rows, and every kind of broken checkpoint is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dfastllm.errors import CheckpointError
from dfastllm.models.loader import load_weights, stored_dtype
from dfastllm.models.spec import ModelSpec, read_spec

VECTORS = Path(__file__).parents[3] / "vectors"
Tensors = dict[str, torch.Tensor]


def read(name: str) -> tuple[ModelSpec, Tensors]:
    config = json.loads((VECTORS / name / "config.json").read_text())
    return read_spec(config, {}), load_file(VECTORS / name / "model.safetensors")


def load(directory: Path, spec: ModelSpec) -> Tensors:
    return load_weights(directory, spec, torch.float32, "cpu")


def write_shards(directory: Path, tensors: Tensors, n: int) -> None:
    names = sorted(tensors)
    where: dict[str, str] = {}
    for i in range(n):
        file = f"model-{i + 1:05d}-of-{n:05d}.safetensors"
        save_file({name: tensors[name] for name in names[i::n]}, directory / file)
        where |= dict.fromkeys(names[i::n], file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def test_llada_parts_are_fused_in_order() -> None:
    spec, source = read("llada-tiny")
    ours = load(VECTORS / "llada-tiny", spec)
    block = "model.transformer.blocks.1."
    assert len(ours) == 3 + 6 * spec.n_layers
    for name, parts in {
        "qkv": ("q_proj", "k_proj", "v_proj"),
        "gate_up": ("ff_proj", "up_proj"),
        "down": ("ff_out",),
    }.items():
        expected = torch.cat([source[f"{block}{part}.weight"] for part in parts])
        assert torch.equal(ours[f"layers.1.{name}.weight"], expected)
    assert torch.equal(ours["head.weight"], source["model.transformer.ff_out.weight"])


def test_dream_biases_are_fused_like_their_weights() -> None:
    spec, source = read("dream-tiny")
    ours = load(VECTORS / "dream-tiny", spec)
    attention = "model.layers.2.self_attn."
    expected = torch.cat([source[f"{attention}{part}_proj.bias"] for part in "qkv"])
    assert torch.equal(ours["layers.2.qkv.bias"], expected)
    assert ours["layers.2.qkv.weight"].shape == (64 + 32 + 32, 64)


def test_shards_load_like_a_single_file_and_progress_counts_every_byte(tmp_path: Path) -> None:
    spec, source = read("dream-tiny")
    write_shards(tmp_path, source, 3)
    seen: list[tuple[int, int]] = []
    ours = load_weights(tmp_path, spec, torch.float32, "cpu", lambda d, t: seen.append((d, t)))
    single = load(VECTORS / "dream-tiny", spec)
    assert all(torch.equal(ours[name], single[name]) for name in single)
    total = sum(t.nbytes for t in source.values())
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_weights_are_converted_on_the_way(tmp_path: Path) -> None:
    spec, source = read("llada-tiny")
    save_file({k: v.bfloat16() for k, v in source.items()}, tmp_path / "model.safetensors")
    assert stored_dtype(tmp_path) == torch.bfloat16
    ours = load_weights(tmp_path, spec, torch.float16, "cpu")
    assert {t.dtype for t in ours.values()} == {torch.float16}


def test_a_tied_head_may_be_stored_as_a_copy_but_not_as_something_else(tmp_path: Path) -> None:
    spec, source = read("dream-tiny")
    spec = replace(spec, tied_head=True)
    source["lm_head.weight"] = source["model.embed_tokens.weight"].clone()
    save_file(source, tmp_path / "model.safetensors")
    assert "head.weight" not in load(tmp_path, spec)
    source["lm_head.weight"][3, 3] += 1
    save_file(source, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lm_head\.weight differs"):
        load(tmp_path, spec)
    del source["lm_head.weight"]
    save_file(source, tmp_path / "model.safetensors")
    assert len(load(tmp_path, spec)) == 2 + 7 * spec.n_layers


def drop(tensors: Tensors) -> None:
    del tensors["model.norm.weight"]


def add(tensors: Tensors) -> None:
    for i in range(9):
        tensors[f"model.layers.{i}.extra"] = torch.zeros(2)


def reshape(tensors: Tensors) -> None:
    tensors["lm_head.weight"] = torch.zeros(511, 64)


def quantise(tensors: Tensors) -> None:
    tensors["lm_head.weight"] = torch.zeros(512, 64, dtype=torch.int8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"1 tensors are missing: model\.norm\.weight"),
        (add, r"9 tensors are not part of this model: .* and 4 more"),
        (reshape, r"lm_head\.weight is \[511, 64\], config\.json says \[512, 64\]"),
        (quantise, r"lm_head\.weight has dtype I8"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[Tensors], None], message: str
) -> None:
    spec, source = read("dream-tiny")
    change(source)
    save_file(source, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path, spec)


@pytest.mark.parametrize("size", [0, 5, 3000, 100_000])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    spec, _ = read("dream-tiny")
    whole = (VECTORS / "dream-tiny" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:size])
    with pytest.raises(CheckpointError, match="damaged, truncated"):
        load(tmp_path, spec)


def test_a_git_lfs_pointer_is_recognised(tmp_path: Path) -> None:
    spec, _ = read("dream-tiny")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (tmp_path / "model.safetensors").write_text(pointer)
    with pytest.raises(CheckpointError, match="git lfs pull"):
        load(tmp_path, spec)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"a": "model-00001-of-00002.safetensors"}}, "does not exist"),
        ({"weight_map": {"a": "../elsewhere.safetensors"}}, "outside its directory"),
        ({"weight_map": {}}, "missing or empty"),
        ([], "a JSON object is needed"),
    ],
)
def test_a_broken_index_is_refused(tmp_path: Path, index: object, message: str) -> None:
    spec, _ = read("dream-tiny")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path, spec)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt"])
def test_pickles_are_refused_unopened(tmp_path: Path, name: str) -> None:
    spec, _ = read("dream-tiny")
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(CheckpointError, match=rf"pickled weights only \({name}\)"):
        load(tmp_path, spec)


def test_an_empty_directory_and_an_index_less_shard_are_told_apart(tmp_path: Path) -> None:
    spec, source = read("dream-tiny")
    with pytest.raises(CheckpointError, match="holds neither"):
        load(tmp_path, spec)
    save_file(source, tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors without"):
        load(tmp_path, spec)
