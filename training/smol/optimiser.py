"""AdamW, or Muon for the stacked matrices, behind one `step`."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from training.optimiser import MOMENTUM, orthogonalise

Kind = Literal["adamw", "muon"]

REST_RATE = 4e-4  # norms and the mask's row, at the full rate of the stage


class Optimiser:
    """`factors` are stacks [N, rows, columns]; `rest` always goes to AdamW."""

    def __init__(
        self,
        factors: Sequence[nn.Parameter],
        rest: Sequence[nn.Parameter],
        kind: Kind,
        rate: float,
    ) -> None:
        self.rate = rate
        fused = rest[0].is_cuda
        self.muon = list(factors) if kind == "muon" else []
        self.momenta = [torch.zeros_like(stack) for stack in self.muon]
        groups = [{"params": list(rest), "base": REST_RATE}]
        if kind == "adamw":
            groups.append({"params": list(factors), "base": rate})
        self.adam = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Apply the gradients at this share of the learning rate and clear them."""
        for stack, momentum in zip(self.muon, self.momenta, strict=True):
            gradient = stack.grad
            if gradient is None:
                continue
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update: Tensor = orthogonalise(gradient.lerp(momentum, MOMENTUM)).float()
            stack.add_(update, alpha=-self.rate * share * 0.2 * max(stack.shape[1:]) ** 0.5)
            stack.grad = None
        for group in self.adam.param_groups:
            group["lr"] = group["base"] * share
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
