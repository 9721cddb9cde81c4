"""The loss that keeps no logits equals the one that does."""

import torch
from torch.nn import functional as F  # noqa: N812 - the name every torch program uses

from training.smol.base import Base
from training.smol.loss import head_loss, soft_loss
from training.smol.network import logits_of, weights_of
from training.smol.sampler import ANSWER

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


def test_the_soft_loss_is_cross_entropy_against_the_law_of_sampling(base: Base) -> None:
    torch.manual_seed(0)
    states = torch.randn(ROWS, base.embedding.shape[1], requires_grad=True)
    teacher, weights = torch.randn(ROWS, base.embedding.shape[1]), torch.rand(ROWS)
    model = weights_of(base, torch.float32)
    law = (logits_of(model, teacher).log_softmax(-1) / ANSWER.temperature).softmax(-1)
    law = torch.where(law < ANSWER.least * law.amax(-1, keepdim=True), 0.0, law)
    law = law / law.sum(-1, keepdim=True)
    logs = logits_of(model, states).log_softmax(-1).clamp_min(-100)
    wanted = (-(logs * law).sum(1) * weights).sum()
    (slope,) = torch.autograd.grad(wanted, states)
    loss = soft_loss(states, base.embedding, teacher, weights, size=8)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(torch.autograd.grad(loss, states)[0], slope)
