"""The file that ships: small, in Llama's layout, and the same network in the engine."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from dfastllm import LLM, DecodingParams
from dfastllm import verifier as verifier_module
from dfastllm.core import StrategyName
from dfastllm.models import source
from dfastllm.models.causal import load_causal
from support.apd_reference import output_rows
from training.checkpoint import Progress
from training.network import Network, Shape
from training.verifier.layout import LARGEST_FILE, SHAPE, config_of, llama_name, read, save
from training.vocabulary import ARTEFACTS

PROGRESS = Progress(3, 1, 5, 5, 1024, 0.5, "cpu")
SMALL = Shape(width=48, layers=2, heads=3, hidden=64, causal=True, tied=True)
CPU = torch.device("cpu")


def _network(shape: Shape) -> Network:
    network = Network(shape)
    network.initialise(7)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)  # far enough from nothing for errors to show
    return network.half().float()  # as it ships


def test_the_file_is_small_and_reading_it_gives_the_same_network(tmp_path: Path) -> None:
    network = _network(SHAPE)
    save(tmp_path, network, PROGRESS)
    assert (tmp_path / "model.safetensors").stat().st_size <= LARGEST_FILE
    again, progress = read(tmp_path)
    assert progress == PROGRESS
    for before, after in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(before, after)


def test_the_engine_computes_the_logits_of_the_training_network(tmp_path: Path) -> None:
    network = _network(SMALL)
    save(tmp_path, network, PROGRESS)
    tokens = torch.randint(512, (40,), generator=torch.Generator().manual_seed(3))
    engine = load_causal(tmp_path, dtype=torch.float32, device=CPU)
    with torch.no_grad():
        theirs = output_rows(engine, tokens.tolist(), causal=True)
        ours = network(tokens[None])[0]
    assert ours.std() > 0.1
    assert (theirs - ours).abs().max() < 1e-3


def test_what_stands_right_of_a_position_does_not_reach_it() -> None:
    network = _network(SMALL)
    row = torch.randint(512, (1, 24), generator=torch.Generator().manual_seed(4))
    other = row.clone()
    other[:, 12:] += 1
    with torch.no_grad():
        same, changed = (network(row) - network(other % 512)).abs().amax(-1)[0].split(12)
    assert same.max() == 0
    assert changed.min() > 0


def test_names_and_fields_are_those_of_llama_checkpoints() -> None:
    names = {llama_name(name) for name, _ in Network(SMALL).named_parameters()}
    assert {
        "model.embed_tokens.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.1.self_attn.o_proj.weight",
        "model.layers.1.mlp.down_proj.weight",
        "model.norm.weight",
    } <= names
    assert len(names) == 2 * 9 + 2
    assert config_of(SHAPE)["architectures"] == ["LlamaForCausalLM"]


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the small model, and a verifier beside it."""
    shutil.copytree(ARTEFACTS, tmp_path / "tiny")
    for module, name in ((source, "_BUILTIN_ROOT"), (verifier_module, "_SHIPPED")):
        monkeypatch.setattr(module, name, tmp_path)
    return tmp_path / "tiny-verifier"


def test_the_server_finds_it_beside_the_small_model_and_asks_it(shipped: Path) -> None:
    save(shipped, _network(SMALL), PROGRESS)
    llm = LLM("builtin:tiny")
    apd = DecodingParams(StrategyName.APD)
    prompt = llm.tokenizer.encode_chat([{"role": "user", "content": "What is 27 + 48?"}])
    stats = llm.generate([prompt], max_tokens=32, decoding=apd)[0].stats
    assert stats.verifier_passes > 0
    assert json.loads((shipped / "config.json").read_text())["vocab_size"] == 512
