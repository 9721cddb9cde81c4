"""Several GPUs of one machine take each step together: `torchrun` starts a process for each.

Each draws its own rows; gradients are averaged, so all hold the same parameters.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class Crew:
    """Which process this is (`rank` of `count`) and the device it works on."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks and saves for all."""
        return self.rank == 0

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over the crew."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.count

    def agreed(self, number: int) -> int:
        """Return the leader's number."""
        if self.count == 1:
            return number
        box = torch.tensor([number], device=self.device)
        dist.broadcast(box, 0)
        return int(box.item())

    def part(self) -> None:
        """Leave; the processes end together."""
        if self.count > 1:
            dist.barrier()
            dist.destroy_process_group()


def join(device: str) -> Crew:
    """Return the crew that `torchrun` announces, or this process alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Crew(torch.device(device))
    rank = int(os.environ["RANK"])
    if device == "cuda":
        torch.cuda.set_device(rank)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    return Crew(
        torch.device(device, rank) if device == "cuda" else torch.device(device), rank, count
    )
