"""A causal network learns the answer, its end, and a little of the filler right after it."""

import torch
from torch import Tensor

from training.noise import FILLER_WEIGHT
from training.verifier.lesson import next_tokens
from training.vocabulary import ASSISTANT, BOS, EOS, EOT, USER


def _lesson(*row: int) -> tuple[list[int], Tensor]:
    tokens = torch.tensor([row])
    start = row.index(ASSISTANT) + 1
    lesson = next_tokens(tokens, torch.tensor([start]))
    return lesson.wanted[0].tolist(), lesson.weights[0]


def test_each_position_says_the_next_token() -> None:
    wanted, _ = _lesson(BOS, USER, 70, EOT, ASSISTANT, 80, 81, EOT, EOS, EOS)
    assert wanted[:-1] == [USER, 70, EOT, ASSISTANT, 80, 81, EOT, EOS, EOS]


def test_the_answer_and_its_end_count_the_first_filler_little_and_the_prompt_not() -> None:
    _, weights = _lesson(BOS, USER, 70, EOT, ASSISTANT, 80, 81, EOT, EOS, EOS)
    assert torch.equal(weights, torch.tensor([0, 0, 0, 0, 1, 1, 1, FILLER_WEIGHT, 0, 0]))


def test_the_last_position_of_a_row_that_was_cut_short_has_nothing_to_say() -> None:
    _, weights = _lesson(BOS, USER, 70, EOT, ASSISTANT, 80, 81)
    assert torch.equal(weights, torch.tensor([0.0, 0, 0, 0, 1, 1, 0]))
