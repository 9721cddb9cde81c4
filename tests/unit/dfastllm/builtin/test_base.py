"""The base is found, checked and read as what it is."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from gguf import GGUFReader
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

import dfastllm.builtin
from dfastllm.builtin import base as module
from dfastllm.builtin.base import (
    SMOLLM2,
    Base,
    find_base,
    install_command,
    open_gguf,
    read_base,
    read_config,
    read_tensors,
)
from dfastllm.errors import CheckpointError
from support.small_base import PACKAGE, SmallBase, small_base

ROOT = Path(__file__).parents[4]
THE_CAPITAL_OF_FRANCE_IS = [504, 3575, 282, 4649, 314]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallBase:
    monkeypatch.syspath_prepend(tmp_path)
    return small_base(tmp_path)


def read_by_transformers(
    reader: GGUFReader, network: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Tensor]:
    """Without the vocabulary, over which it takes ten seconds."""
    loader = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    short = {name: field for name, field in reader.fields.items() if len(field.data) < 1000}
    opened = SimpleNamespace(fields=short, tensors=reader.tensors)
    monkeypatch.setattr("gguf.GGUFReader", lambda path: opened)
    loaded = loader.load_gguf_checkpoint("", return_tensors=True, model_to_load=network)
    tensors: dict[str, Tensor] = loaded["tensors"]
    return tensors


def test_the_published_base_computes_what_transformers_own_reader_makes_of_it(
    published: GGUFReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = LlamaConfig(**read_config(published))
    with torch.device("meta"):
        network = LlamaForCausalLM(config)
    network.model.rotary_emb = LlamaRotaryEmbedding(config)
    ours, theirs = read_tensors(published), read_by_transformers(published, network, monkeypatch)
    assert set(ours) == set(theirs)

    def logits(weights: dict[str, Tensor]) -> Tensor:
        network.load_state_dict(weights, strict=False, assign=True)
        network.tie_weights()
        with torch.no_grad():
            return network(torch.tensor([THE_CAPITAL_OF_FRANCE_IS])).logits[0]

    computed = logits(ours)
    assert torch.equal(computed, logits(theirs))
    tokens = published.get_field("tokenizer.ggml.tokens").contents()
    assert tokens[computed[-1].argmax()] == "ĠParis"


def test_the_shipped_model_is_a_difference_to_the_base_that_is_pinned() -> None:
    folder = Path(dfastllm.builtin.__file__).parent / "smol"
    assert Base(**json.loads((folder / "config.json").read_text())["base"]) == SMOLLM2
    lock = (ROOT / "requirements" / "smol.txt").read_text()
    assert f"{SMOLLM2.package}=={SMOLLM2.version} " in lock


def test_rows_that_gguf_permutes_are_put_back(small: SmallBase) -> None:
    read = read_base(find_base(small.origin))
    assert set(read) == set(small.tensors)
    for name, tensor in small.tensors.items():
        assert torch.equal(read[name], tensor), name
        assert read[name].dtype == torch.float32


def test_the_configuration_comes_from_the_file(small: SmallBase) -> None:
    config = read_config(open_gguf(small.path))
    theirs = small.network.config.to_dict()
    for name in ("hidden_size", "num_key_value_heads", "rms_norm_eps", "tie_word_embeddings"):
        assert config[name] == theirs[name]
    assert (config["eos_token_id"], config["pad_token_id"]) == (2, 0)


def test_a_package_is_found_without_being_imported(small: SmallBase) -> None:
    assert find_base(small.origin) == small.path
    assert PACKAGE.replace("-", "_") not in sys.modules


def test_a_missing_base_names_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Base("dfastllm-absent-base", "2.0", "x.gguf", "0")
    with pytest.raises(CheckpointError, match="is not installed: run `") as caught:
        find_base(absent)
    assert install_command(absent) in str(caught.value)
    monkeypatch.setattr(module.sys, "prefix", "/elsewhere")
    for tool, has_pip in (("-m pip install", object()), ("uv pip install --python", None)):
        monkeypatch.setattr(module, "find_spec", lambda name, found=has_pip: found)
        command = install_command(absent)
        assert tool in command
        assert command.endswith(" --no-deps dfastllm-absent-base==2.0`")


def test_in_the_environment_of_a_checkout_its_own_verb_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    monkeypatch.setattr(module, "_CHECKOUT", checkout)
    monkeypatch.setattr(module.sys, "prefix", str(checkout / ".venv"))
    assert "make" not in install_command().split()  # no checkout after all
    (checkout / "Makefile").touch()
    assert install_command() == f"`make -C '{checkout}' base`"
    monkeypatch.setattr(module.sys, "prefix", str(tmp_path / "elsewhere"))
    assert "make" not in install_command().split()


def test_the_makefiles_verb_installs_what_is_pinned_even_over_what_is_there() -> None:
    verb = (ROOT / "Makefile").read_text().partition("\nbase: ")[2].partition("\n\n")[0]
    for words in ("--require-hashes", "--no-deps", "--reinstall", "requirements/smol.txt"):
        assert words in verb


def test_another_file_under_its_name_is_refused(
    small: SmallBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "prefix", "/elsewhere")
    with pytest.raises(CheckpointError, match=r"is not the file of .* 1\.0: run .*reinstall"):
        find_base(replace(small.origin, sha256="0" * 64))


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"no gguf at all, but long enough to hold a header"):
        (tmp_path / "x.gguf").write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot be read as GGUF"):
            read_base(tmp_path / "x.gguf")
