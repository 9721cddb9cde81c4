"""Cross-entropy over 49,152 tokens without keeping the logits: the head is not trained."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every torch program uses

from training.smol.sampler import ANSWER
from training.smol.vocabulary import MASK

# states [N, W], embedding, what is wanted [N, ...], weights [N] -> loss, gradient by the states
Rule = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def _hard(
    states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Against tokens [N]."""
    logs = _logs(states, embedding)
    loss = -(logs.gather(1, targets[:, None])[:, 0] * weights).sum()
    spots = torch.arange(logs.shape[1], device=logs.device)[None] == targets[:, None]
    slope = (logs.exp() - spots.float()) * weights[:, None]
    return loss, slope.to(embedding.dtype) @ embedding


def _soft(
    states: Tensor, embedding: Tensor, teacher: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Against the law that the base's states [N, W] give, tempered as its answers were sampled."""
    logs = _logs(states, embedding)
    wanted = (_logs(teacher, embedding) / ANSWER.temperature).log_softmax(-1)
    least = wanted.amax(-1, keepdim=True) + torch.tensor(ANSWER.least).log().item()
    wanted = wanted.masked_fill(wanted < least, -torch.inf).softmax(-1)
    loss = -((logs * wanted).sum(1) * weights).sum()
    slope = (logs.exp() - wanted) * weights[:, None]
    return loss, slope.to(embedding.dtype) @ embedding


def _logs(states: Tensor, embedding: Tensor) -> Tensor:
    logits = F.linear(states, embedding).float()
    place = torch.arange(logits.shape[1], device=logits.device)
    return logits.masked_fill(place == MASK, -1e9).log_softmax(-1)


_RULES: dict[str, Rule] = {"hard": _hard, "soft": _soft}


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        embedding: Tensor,
        wanted: Tensor,
        weights: Tensor,
        size: int,
        rule: Rule,
    ) -> Tensor:
        total = torch.zeros((), device=states.device)
        slopes = []
        for at in range(0, len(states), size):
            part = slice(at, at + size)
            loss, slope = rule(states[part], embedding, wanted[part], weights[part])
            total = total + loss
            slopes.append(slope)
        ctx.save_for_backward(torch.cat(slopes) if slopes else torch.zeros_like(states))
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return (slopes * grad).to(slopes.dtype), None, None, None, None, None


def compile_head() -> None:
    """Use fused chunks from now on."""
    if _RULES["hard"] is _hard:
        for name, rule in (("hard", _hard), ("soft", _soft)):
            _RULES[name] = torch.compile(rule, dynamic=False)


def head_loss(
    states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor, size: int
) -> Tensor:
    """Return the sum of weighted cross-entropies of states [N, W], `size` of them at a time."""
    return _summed("hard", states, embedding, targets, weights, size)


def soft_loss(
    states: Tensor, embedding: Tensor, teacher: Tensor, weights: Tensor, size: int
) -> Tensor:
    """Return the same against what the base's states [N, W] would have sampled."""
    return _summed("soft", states, embedding, teacher, weights, size)


def _summed(
    name: str, states: Tensor, embedding: Tensor, wanted: Tensor, weights: Tensor, size: int
) -> Tensor:
    missing = -len(states) % size
    loss: Tensor = _HeadLoss.apply(
        F.pad(states, (0, 0, 0, missing)),
        embedding,
        F.pad(wanted, (*([0, 0] * (wanted.dim() - 1)), 0, missing)),
        F.pad(weights, (0, missing)),
        size,
        _RULES[name],
    )
    return loss
