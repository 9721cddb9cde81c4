"""Cross-entropy over 49,152 tokens without keeping the logits: the head is not trained."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every torch program uses

from training.smol.vocabulary import MASK


def _chunk(
    states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the weighted loss of a chunk [N, W] and its gradient by the states."""
    logits = F.linear(states, embedding).float()
    logits = logits.masked_fill(torch.arange(logits.shape[1], device=logits.device) == MASK, -1e9)
    logs = logits.log_softmax(-1)
    loss = -(logs.gather(1, targets[:, None])[:, 0] * weights).sum()
    spots = torch.arange(logits.shape[1], device=logits.device)[None] == targets[:, None]
    slope = (logs.exp() - spots.float()) * weights[:, None]
    return loss, slope.to(embedding.dtype) @ embedding


class _HeadLoss(torch.autograd.Function):
    rule = staticmethod(_chunk)

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor, size: int
    ) -> Tensor:
        total = torch.zeros((), device=states.device)
        slopes = []
        for at in range(0, len(states), size):
            part = slice(at, at + size)
            loss, slope = _HeadLoss.rule(states[part], embedding, targets[part], weights[part])
            total = total + loss
            slopes.append(slope)
        ctx.save_for_backward(torch.cat(slopes))
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return (slopes * grad).to(slopes.dtype), None, None, None, None


@cache
def compile_head() -> None:
    """Use a fused chunk from now on."""
    _HeadLoss.rule = staticmethod(torch.compile(_chunk, dynamic=False))


def head_loss(
    states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor, size: int
) -> Tensor:
    """Return the sum of weighted cross-entropies of states [N, W], `size` of them at a time."""
    missing = -len(states) % size
    loss: Tensor = _HeadLoss.apply(
        F.pad(states, (0, 0, 0, missing)),
        embedding,
        F.pad(targets, (0, missing)),
        F.pad(weights, (0, missing)),
        size,
    )
    return loss


def soft_loss(states: Tensor, embedding: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of weighted cross-entropies against distributions [N, V]."""
    logs = F.linear(states, embedding).float().log_softmax(-1)
    return -((logs * wanted).sum(1) * weights).sum()
