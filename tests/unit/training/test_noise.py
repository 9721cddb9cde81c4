"""Noise hides answers only, and learning happens only where something is hidden."""

import pytest
import torch
from torch import Tensor

from training.noise import FILLER_WEIGHT, Noised, add_noise, loss_of
from training.vocabulary import EOS, EOT, MASK

START, TEXT, LENGTH, ROWS = 10, 40, 96, 600


@pytest.fixture(scope="module")
def clean() -> Tensor:
    tokens = torch.full((ROWS, LENGTH), EOS)
    tokens[:, : START + TEXT - 1] = 50
    tokens[:, START + TEXT - 1] = EOT
    return tokens


@pytest.fixture(scope="module")
def noised(clean: Tensor) -> Noised:
    return add_noise(clean, torch.full((ROWS,), START), torch.Generator().manual_seed(0))


def test_the_prompt_is_never_masked(noised: Noised) -> None:
    assert (noised.inputs[:, :START] != MASK).all()


def test_what_is_not_masked_is_unchanged(noised: Noised, clean: Tensor) -> None:
    kept = noised.inputs != MASK
    assert torch.equal(noised.inputs[kept], clean[kept])


def test_only_masked_positions_count_and_filler_counts_less(noised: Noised, clean: Tensor) -> None:
    counted = noised.weights > 0
    assert (noised.inputs[counted] == MASK).all()
    assert (noised.weights[counted & (clean == EOS)] == FILLER_WEIGHT).all()
    assert (noised.weights[counted & (clean != EOS)] == 1).all()


def test_all_three_kinds_of_state_occur(noised: Noised) -> None:
    masked = noised.inputs[:, START:] == MASK
    fully_masked_tail = masked[:, 64:].all(1)
    assert 0.4 < fully_masked_tail.float().mean() < 0.75
    counted_less = (masked & (noised.weights[:, START:] == 0)).any(1)
    assert 0.4 < counted_less.float().mean() < 0.7


def test_the_same_generator_state_gives_the_same_noise(clean: Tensor, noised: Noised) -> None:
    again = add_noise(clean, torch.full((ROWS,), START), torch.Generator().manual_seed(0))
    assert torch.equal(again.inputs, noised.inputs)


def test_a_row_with_nothing_to_learn_adds_nothing() -> None:
    logits, tokens = torch.randn(2, 5, 8), torch.randint(8, (2, 5))
    assert loss_of(logits, tokens, torch.zeros(2, 5)).item() == 0
