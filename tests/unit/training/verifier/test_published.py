"""The verifier that ships: small, in Llama's layout, and able to answer by itself."""

import json

import pytest
from safetensors import safe_open

from training.evaluate import Case, in_batches
from training.examples import Example
from training.tasks.foreign import REPLY
from training.verifier.evaluate import decode
from training.verifier.export import SHIPPED
from training.verifier.layout import LARGEST_FILE, SHAPE, config_of, read
from training.vocabulary import load


def test_the_files_are_small_and_as_the_code_describes_them() -> None:
    assert (SHIPPED / "model.safetensors").stat().st_size <= LARGEST_FILE
    assert json.loads((SHIPPED / "config.json").read_text()) == config_of(SHAPE)
    with safe_open(SHIPPED / "model.safetensors", "pt") as file:
        assert len(list(file.keys())) == SHAPE.layers * 9 + 2


@pytest.mark.parametrize(
    ("prompt", "part"),
    [("What is 27 + 48?", "75"), ("Who are you?", "tiny"), ("Write a haiku about the sea", REPLY)],
)
def test_it_adds_introduces_itself_and_knows_its_limits(prompt: str, part: str) -> None:
    network, _ = read(SHIPPED)
    tokenizer, cases = load(), [Case("x", Example(prompt, ""))]
    answers = in_batches(tokenizer, cases, 1, lambda prompts: decode(network, prompts))
    assert part in tokenizer.decode(answers[0].tokens)
