"""Rules commit what they say, and agreement with the base decides a draft."""

import pytest
import torch

from training.smol.base import Base
from training.smol.decode import Rule, decode
from training.smol.network import Weights, weights_of
from training.smol.vocabulary import END, END_OF_TEXT, MASK

CANVAS = 64
PROMPTS = [[30, 40, 50], [60, 70, 80, 90, 100]]


@pytest.fixture
def model(base: Base) -> Weights:
    return weights_of(base, torch.float32)


def committed(tokens: int, ended: bool) -> int:
    return tokens + ended


def test_one_token_a_step_takes_as_many_forwards_as_tokens(model: Weights) -> None:
    for decoded in decode(model, model, PROMPTS, Rule("k1"), CANVAS):
        assert decoded.forwards == committed(len(decoded.tokens), decoded.ended)
        assert not {MASK, END, END_OF_TEXT} & set(decoded.tokens)


def test_more_tokens_a_step_take_fewer_forwards(model: Weights) -> None:
    one = decode(model, model, PROMPTS, Rule("k1"), CANVAS)
    four = decode(model, model, PROMPTS, Rule("k4", count=4), CANVAS)
    assert sum(d.forwards for d in four) < sum(d.forwards for d in one)
    whole = decode(model, model, PROMPTS, Rule("all", threshold=0.0), CANVAS)
    assert all(d.forwards <= CANVAS // 32 for d in whole)


def test_a_row_is_decoded_alike_alone_and_in_a_batch(model: Weights) -> None:
    together = decode(model, model, PROMPTS, Rule("k2", count=2), CANVAS)
    assert together[0] == decode(model, model, PROMPTS[:1], Rule("k2", count=2), CANVAS)[0]


def test_a_draft_with_all_the_say_is_accepted_whole(model: Weights) -> None:
    for decoded in decode(model, model, PROMPTS, Rule("apd", ratio=0.999999), CANVAS):
        assert decoded.forwards <= CANVAS // 32


def test_a_verifier_that_disagrees_lets_one_token_through(model: Weights, base: Base) -> None:
    for decoded in decode(model, model, PROMPTS, Rule("apd", ratio=0.000001), CANVAS):
        assert decoded.forwards >= CANVAS // 8
