"""The model that ships: small enough, named as LLaDA checkpoints are, and able to add."""

import json

import pytest
import torch
from safetensors.torch import load_file

from training.decode import RULES
from training.evaluate import Case, answer
from training.examples import Example
from training.export import generation_config
from training.network import Network, Shape, checkpoint_config
from training.tasks.foreign import REPLY
from training.vocabulary import ARTEFACTS, load


@pytest.fixture(scope="module")
def network() -> Network:
    published = Network()
    weights = load_file(ARTEFACTS / "model.safetensors")
    assert all(weight.dtype == torch.float16 for weight in weights.values())
    published.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return published


def test_the_weights_fit_in_sixteen_megabytes() -> None:
    assert (ARTEFACTS / "model.safetensors").stat().st_size < 16_000_000


def test_the_written_configuration_is_the_one_the_code_describes() -> None:
    assert json.loads((ARTEFACTS / "config.json").read_text()) == checkpoint_config(Shape())
    written = json.loads((ARTEFACTS / "generation_config.json").read_text())
    assert written == generation_config()


def test_parameters_are_named_as_in_llada_checkpoints(network: Network) -> None:
    names = set(network.state_dict())
    assert {
        "model.transformer.wte.weight",
        "model.transformer.blocks.0.attn_norm.weight",
        "model.transformer.blocks.7.ff_out.weight",
        "model.transformer.ln_f.weight",
        "model.transformer.ff_out.weight",
    } <= names
    assert len(names) == 8 * 9 + 3


def test_it_adds_introduces_itself_and_knows_its_limits(network: Network) -> None:
    prompts = ("What is 27 + 48?", "Who are you?", "Write a haiku about the sea")
    cases = [Case("x", Example(prompt, "")) for prompt in prompts]
    tokenizer = load()
    texts = [tokenizer.decode(d.tokens) for d in answer(network, tokenizer, cases, RULES[1], 8)]
    assert "75" in texts[0]
    assert texts[1].startswith("I am dfastllm's tiny")
    assert texts[2] == REPLY
