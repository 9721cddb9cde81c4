"""Training state in small shards, so that any file store can carry it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.network import Network
from training.optimiser import Optimiser

SHARD_BYTES = 15_500_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How the weights came about."""

    stage: int
    seed: int
    steps: int  # of this stage
    total_steps: int  # of this and the stages before it
    tokens_per_step: int
    seconds: float
    device: str


def save(folder: Path, network: Network, optimiser: Optimiser, progress: Progress) -> None:
    """Write `state-0.safetensors`, `state-1…`, none larger than `SHARD_BYTES`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"net.{name}": weight.detach() for name, weight in network.named_parameters()}
    tensors |= optimiser.state()
    notes = {"progress": json.dumps(asdict(progress))}
    for at, shard in enumerate(_shards(tensors)):
        save_file(shard, folder / f"state-{at}.safetensors", notes)


def _shards(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if size + tensor.nbytes > SHARD_BYTES and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = tensor.contiguous().cpu()
        size += tensor.nbytes
    return shards


def read(folder: Path) -> tuple[dict[str, Tensor], Progress]:
    """Return all tensors of a checkpoint and its progress."""
    tensors: dict[str, Tensor] = {}
    notes: dict[str, str] = {}
    files = sorted(folder.glob("state-*.safetensors"))
    if not files:
        raise FileNotFoundError(f"no state-*.safetensors in {folder}")
    for file in files:
        with safe_open(file, "pt") as shard:
            notes = shard.metadata()
            tensors |= {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118
    return tensors, Progress(**json.loads(notes["progress"]))


def load_network(network: Network, tensors: dict[str, Tensor]) -> None:
    """Copy the weights of a checkpoint into the network."""
    weights = dict(network.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[f"net.{name}"])


def load_optimiser(optimiser: Optimiser, tensors: dict[str, Tensor]) -> None:
    optimiser.restore({k: v for k, v in tensors.items() if not k.startswith("net.")})
