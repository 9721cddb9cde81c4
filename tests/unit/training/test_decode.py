"""Decoding commits what its rule says, and padding does not change an answer."""

import torch
from torch import Tensor

from training.decode import BLOCK, CANVAS, Rule, decode
from training.network import Network, Shape
from training.vocabulary import EOS, EOT

ANSWER = [60 + at for at in range(40)]


class _Scripted(Network):
    """Knows the answer; the later a position, the surer it is."""

    def __init__(self, confidence: float) -> None:
        super().__init__(Shape(width=8, layers=0, heads=1, hidden=8))
        self.confidence = confidence

    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        logits = torch.zeros(*tokens.shape, 512)
        wanted = [*ANSWER, EOT] + [EOS] * (CANVAS - len(ANSWER) - 1)
        for at, token in enumerate(wanted):
            logits[:, at - CANVAS, token] = self.confidence + at * 0.01
        return logits


def test_one_token_a_step_takes_one_forward_per_token_and_no_more() -> None:
    decoded = decode(_Scripted(5.0), [[2, 4, 9]], Rule("k1"))[0]
    assert decoded.tokens == ANSWER
    assert decoded.forwards == len(ANSWER) + 1


def test_a_threshold_that_all_reach_takes_one_forward_per_block() -> None:
    decoded = decode(_Scripted(20.0), [[2, 4, 9]], Rule("t", threshold=0.9))[0]
    assert decoded.tokens == ANSWER
    assert decoded.forwards == len(ANSWER) // BLOCK + 1


def test_a_threshold_that_none_reaches_still_moves_on() -> None:
    decoded = decode(_Scripted(5.0), [[2, 4, 9]], Rule("t", threshold=0.99))[0]
    assert decoded.tokens == ANSWER


def test_padding_on_the_left_does_not_change_the_logits() -> None:
    network = Network(Shape(width=32, layers=2, heads=2, hidden=48))
    network.initialise(0)
    row = torch.tensor([[2, 4, 70, 71, 3, 5, 0, 0]])
    padded = torch.cat((torch.full((1, 5), EOS), row), dim=1)
    valid = torch.arange(13)[None] >= 5
    with torch.no_grad():
        assert torch.allclose(network(row), network(padded, valid)[:, 5:], atol=1e-5)
