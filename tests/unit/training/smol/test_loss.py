"""The loss that keeps no logits equals the one that does."""

import torch
from torch.nn import functional as F  # noqa: N812 - the name every torch program uses

from training.smol.base import Base
from training.smol.loss import head_loss, soft_loss
from training.smol.network import logits_of, weights_of

ROWS = 20


def test_head_loss_and_its_gradient_are_those_of_cross_entropy(base: Base) -> None:
    torch.manual_seed(0)
    states = torch.randn(ROWS, base.embedding.shape[1], requires_grad=True)
    targets, weights = torch.randint(17, 280, (ROWS,)), torch.rand(ROWS)
    wanted = (
        F.cross_entropy(
            logits_of(weights_of(base, torch.float32), states), targets, reduction="none"
        )
        * weights
    ).sum()
    (slope,) = torch.autograd.grad(wanted, states)
    loss = head_loss(states, base.embedding, targets, weights, size=8)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(torch.autograd.grad(loss, states)[0], slope)


def test_a_certain_distribution_is_a_plain_target(base: Base) -> None:
    torch.manual_seed(0)
    states = torch.randn(ROWS, base.embedding.shape[1])
    targets, weights = torch.randint(17, 280, (ROWS,)), torch.rand(ROWS)
    certain = F.one_hot(targets, len(base.embedding)).float()
    hard = F.cross_entropy(states @ base.embedding.T, targets, reduction="none")
    torch.testing.assert_close(
        soft_loss(states, base.embedding, certain, weights), (hard * weights).sum()
    )
