"""Muon for the matrices of the blocks, AdamW for everything else."""

from collections import defaultdict

import torch
from torch import Tensor

from training.network import Network

MOMENTUM = 0.95
WEIGHT_DECAY = 0.1
ADAM_RATIO = 0.75  # AdamW's rate as a share of Muon's


def orthogonalise(batch: Tensor) -> Tensor:
    """Push the singular values of each matrix [N, R, C] towards one: five Newton-Schulz steps."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = batch.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x.mT if tall else x
    return result


class Optimiser:
    """Both rules behind one `step`; matrices of equal shape are updated as one batch."""

    def __init__(self, network: Network, compiled: bool) -> None:
        groups: dict[torch.Size, list[Tensor]] = defaultdict(list)
        rest: list[Tensor] = []
        for name, weight in network.named_parameters():
            if ".blocks." in name and weight.dim() == 2:
                groups[weight.shape].append(weight)
            else:
                rest.append(weight)
        self.groups = list(groups.values())
        self.momenta = [torch.zeros_like(torch.stack(group)) for group in self.groups]
        fused = rest[0].is_cuda
        self.adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)
        self.orthogonalise = torch.compile(orthogonalise) if compiled else orthogonalise

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Apply the gradients at this learning rate and clear them."""
        for group, momentum in zip(self.groups, self.momenta, strict=True):
            gradient = torch.stack([weight.grad for weight in group if weight.grad is not None])
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = self.orthogonalise(gradient.lerp(momentum, MOMENTUM)).float()
            scale = 0.2 * max(group[0].shape) ** 0.5
            torch._foreach_mul_(group, 1 - rate * WEIGHT_DECAY)
            torch._foreach_add_(group, list(update.unbind()), alpha=-rate * scale)
        for options in self.adam.param_groups:
            options["lr"] = rate * ADAM_RATIO
        self.adam.step()
        for group in self.groups:
            for weight in group:
                weight.grad = None
        self.adam.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """Return what a later stage needs; Muon's momentum survives bf16 unharmed."""
        held = {f"muon.{at}": momentum.bfloat16() for at, momentum in enumerate(self.momenta)}
        for at, values in self.adam.state_dict()["state"].items():
            held |= {f"adam.{at}.{name}": value for name, value in values.items()}
        return held

    def restore(self, held: dict[str, Tensor]) -> None:
        for at, momentum in enumerate(self.momenta):
            momentum.copy_(held[f"muon.{at}"])
        state: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for key, value in held.items():
            kind, number, *name = key.split(".")
            if kind == "adam":
                state[int(number)][name[0]] = value
        groups = self.adam.state_dict()["param_groups"]
        self.adam.load_state_dict({"state": dict(state), "param_groups": groups})
