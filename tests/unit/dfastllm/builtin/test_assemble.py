"""Base and difference become checkpoints that everything else reads like any other."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaForCausalLM

from dfastllm import LLM
from dfastllm.builtin import difference
from dfastllm.builtin.assemble import prepare_base, prepare_model
from dfastllm.builtin.store import installed_store
from dfastllm.cache.policy import Feed
from dfastllm.core import CacheKind, StrategyName
from dfastllm.errors import CheckpointError
from dfastllm.models import source
from dfastllm.models.batch import Segment, pack
from dfastllm.models.causal import load_causal
from dfastllm.models.checkpoint import load_model
from dfastllm.models.context import load_context
from dfastllm.models.source import resolve_model
from dfastllm.models.transformer import Transformer
from dfastllm.tokenizer import Tokenizer
from support.small_base import HIDDEN, LAYERS, SmallBase, model_folder, small_base, vocabulary

QUERY = "model.layers.1.self_attn.q_proj.weight"
NORM = "model.norm.weight"
CPU = torch.device("cpu")
IDS = [1, 20, 30, 40, 16, 16]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallBase:
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(source, "_BUILTIN_ROOT", tmp_path / "builtin")
    (tmp_path / "builtin").mkdir()
    return small_base(tmp_path / "packages")


def changes(*, embedding: bool = False) -> dict[str, Tensor]:
    """One matrix, one norm and, if wanted, one row of the embedding."""
    generator = torch.Generator().manual_seed(1)
    up, down = (torch.randn(shape, generator=generator) for shape in ((HIDDEN, 2), (2, HIDDEN)))
    norm = torch.rand(HIDDEN, generator=generator).half() + 0.5
    found = {**difference.pack(up, down, QUERY), NORM: norm}
    if embedding:
        values = torch.randn(1, HIDDEN, generator=generator)
        found |= difference.pack_rows(torch.tensor([16]), values)
    return found


def merged(small: SmallBase, changed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The formulas of the format, written down once more."""
    change = (changed[f"{QUERY}.up"].float() * changed[f"{QUERY}.scale"]) @ changed[
        f"{QUERY}.down"
    ].float()
    query = small.tensors[QUERY] + change
    whole = small.tensors | {QUERY: query, NORM: changed[NORM].float()}
    if "model.embed_tokens.rows" in changed:
        table = small.tensors["model.embed_tokens.weight"].clone()
        table[16] = changed["model.embed_tokens.values"][0].float()
        whole["model.embed_tokens.weight"] = table
    return whole


def stored(directory: Path) -> dict[str, Tensor]:
    files = sorted(directory.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def logits(network: Transformer[Any], *, causal: bool) -> Tensor:
    """All positions at once."""
    feed = Feed(0, len(IDS), len(IDS), refresh=True, store=False, causal_until=len(IDS) * causal)
    segment = Segment(np.array(IDS), feed, np.arange(len(IDS)))
    return network(pack([segment], CPU))


@pytest.mark.parametrize("embedding", [False, True])
def test_a_model_is_its_base_with_the_difference(
    small: SmallBase, tmp_path: Path, embedding: bool
) -> None:
    changed = changes(embedding=embedding)
    made = prepare_model(model_folder(tmp_path / "builtin" / "smol", small.origin, changed))
    wanted = merged(small, changed)
    found = stored(made)
    biases = {name for name in found if name.endswith(".bias")}
    assert len(biases) == 3 * LAYERS
    assert not any(found[name].any() for name in biases)
    assert set(found) - biases == set(wanted)
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor.bfloat16()), name


def test_the_engine_computes_the_llama_with_attention_in_both_directions(
    small: SmallBase, tmp_path: Path
) -> None:
    changed = changes(embedding=True)
    made = prepare_model(model_folder(tmp_path / "builtin" / "smol", small.origin, changed))
    weights = {name: t.bfloat16().float() for name, t in merged(small, changed).items()}
    small.network.load_state_dict(weights, strict=False)
    everything = torch.zeros(1, 1, len(IDS), len(IDS))
    with torch.no_grad():
        wanted = small.network(torch.tensor([IDS]), attention_mask=everything).logits[0]
    computed = logits(load_model(made, device=CPU), causal=False)
    assert torch.allclose(computed, wanted, atol=1e-4)


def test_the_base_is_a_llama_to_us_and_to_others(small: SmallBase, tmp_path: Path) -> None:
    base = prepare_base(model_folder(tmp_path / "builtin" / "smol", small.origin, changes()))
    network = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    rounded = {name: t.bfloat16().float() for name, t in small.tensors.items()}
    small.network.load_state_dict(rounded, strict=False)
    with torch.no_grad():
        wanted = small.network(torch.tensor([IDS])).logits[0]
        assert torch.allclose(network(torch.tensor([IDS])).logits[0], wanted, atol=1e-5)
    ours = load_causal(base, dtype=torch.float32, device=CPU)
    assert torch.allclose(logits(ours, causal=True), wanted, atol=1e-4)


def test_both_share_what_they_have_in_common(small: SmallBase, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    made, base = prepare_model(folder), prepare_base(folder)
    shared = {path.name for path in made.iterdir() if path.is_symlink()}
    assert shared == {
        "context",
        "tokenizer.json",
        "tokenizer_config.json",
        "model-00001-of-00002.safetensors",
    }
    assert (made / "context").resolve() == base
    assert all((made / name).resolve() == base / name for name in shared - {"context"})
    assert not any(os.path.isabs(os.readlink(made / name)) for name in shared)
    assert {path.name for path in made.iterdir()} - shared == {
        "config.json",
        "generation_config.json",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    }


def test_the_base_reads_the_context_and_verifies_and_is_loaded_once(
    small: SmallBase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    caplog.set_level("INFO")
    llm = LLM("builtin:smol", dtype="float32")
    assert "verifier: the network that reads the context" in caplog.text
    assert llm.engine.config.max_model_len == 256  # the base's, where the model has 2,048
    assert llm.engine.verifier_page_bytes == 0
    apd = replace(llm.decoding(), strategy=StrategyName.APD, cache=CacheKind.NONE, lookahead=8)
    shared = llm.generate(["ant", "sat"], max_tokens=24, decoding=apd, ignore_eos=True)
    copied = shutil.copytree(resolve_model("builtin:smol-base").directory, tmp_path / "copied")
    other = LLM("builtin:smol", dtype="float32", verifier=str(copied))
    assert other.engine.verifier_page_bytes == other.engine.kv_page_bytes
    apart = other.generate(["ant", "sat"], max_tokens=24, decoding=apd, ignore_eos=True)
    assert [answer.token_ids for answer in shared] == [answer.token_ids for answer in apart]


@pytest.mark.parametrize("named", [None, "builtin:smol-base"])
def test_it_is_loaded_once_though_the_base_lies_in_the_other_store_too(
    small: SmallBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    """The installation has the base, and a model that has been replaced since."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    prepare_model(folder, installed_store())
    shutil.rmtree(folder)
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes(embedding=True))
    made, base = prepare_model(folder), prepare_base(folder)
    assert (made / "context").resolve() != base == installed_store() / base.name
    llm = LLM("builtin:smol", dtype="float32", verifier=named)
    assert llm.engine.verifies
    assert llm.engine.verifier_page_bytes == 0


def test_a_store_may_be_moved_as_a_whole(small: SmallBase, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    made = prepare_model(folder, tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there", symlinks=True)
    shutil.rmtree(tmp_path / "here")
    moved = tmp_path / "there" / made.name
    found = load_context(moved, load_model(moved, device=CPU))
    assert found is not None
    assert found.directory == tmp_path / "there" / prepare_base(folder, tmp_path / "there").name


def test_everybody_may_read_what_was_made(small: SmallBase, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    for path in (*prepare_model(folder).iterdir(), *prepare_base(folder).iterdir()):
        assert path.stat().st_mode & 0o044 == 0o044, path


def test_names_of_built_ins_lead_to_it(small: SmallBase, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    assert source.builtin_names() == ["smol"]
    found = resolve_model("builtin://smol")
    assert (found.directory, found.name) == (prepare_model(folder), "smol")
    base = prepare_base(folder)
    assert resolve_model("builtin:smol-base").directory == base
    assert resolve_model("builtin:smol-verifier").directory == base
    tokenizer = Tokenizer.load(found.directory, vocab_size=len(vocabulary()), mask_id=16)
    assert tokenizer.has_chat_template
    assert tokenizer.n_ids == len(vocabulary())


def test_a_base_is_there_before_any_difference_is(small: SmallBase, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    for file in folder.glob("*.safetensors"):
        file.unlink()
    assert resolve_model("builtin:smol-base").directory == prepare_base(folder)
    assert source.builtin_names() == []
    for name in ("smol", "smol-verifier", "base", "../smol-base"):
        with pytest.raises(CheckpointError, match="no built-in model"):
            resolve_model(f"builtin:{name}")


def test_a_shallow_verifier_takes_the_first_layers_only(small: SmallBase, tmp_path: Path) -> None:
    model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    model_folder(
        tmp_path / "builtin" / "smol-verifier",
        small.origin,
        changes(),
        architectures=["LlamaForCausalLM"],
        num_hidden_layers=LAYERS - 1,
    )
    assert source.builtin_names() == ["smol"]
    assert source.builtin_names(verifiers=True) == ["smol", "smol-verifier"]
    found = stored(resolve_model("builtin:smol-verifier").directory)
    wanted = {n for n in small.tensors if f"layers.{LAYERS - 1}." not in n}
    assert set(found) == wanted


def test_once_made_neither_base_nor_package_is_needed(small: SmallBase, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    made = prepare_model(folder)
    shutil.rmtree(tmp_path / "packages")
    assert prepare_model(folder) == made
    shutil.rmtree(made)
    with pytest.raises(CheckpointError, match="is not installed: run `"):
        prepare_model(folder)


def test_another_difference_makes_another_entry(small: SmallBase, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, changes())
    first, base = prepare_model(folder), prepare_base(folder)
    (folder / "MODEL_CARD.md").write_text("another card\n")
    assert prepare_model(folder) == first
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": 64}))
    assert prepare_model(folder) != first
    assert prepare_base(folder) == base


@pytest.mark.parametrize(
    "wrong",
    [
        {"model.layers.9.mlp.up_proj.weight": torch.zeros(2)},
        difference.pack(torch.ones(3, 2), torch.ones(2, HIDDEN), QUERY),
        difference.pack(torch.ones(HIDDEN, 2), torch.ones(2, HIDDEN), "model.nothing.weight"),
    ],
)
def test_a_difference_to_something_else_is_refused(
    small: SmallBase, tmp_path: Path, wrong: dict[str, Tensor]
) -> None:
    folder = model_folder(tmp_path / "builtin" / "smol", small.origin, wrong)
    with pytest.raises(CheckpointError, match="does not fit the base"):
        prepare_model(folder)
