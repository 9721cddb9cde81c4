"""What is trained: a low-rank difference to the base (or, to compare, all of its matrices)."""

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfastllm.builtin import difference
from training.smol.base import NORMS, Base, matrix_names
from training.smol.network import Weights, arrange
from training.smol.vocabulary import MASK

SHARD_BYTES = 15_500_000


class Drafter(nn.Module, ABC):
    """Norms and the mask's embedding row are trained as they are; `merged` gives the model."""

    matrices: dict[str, Tensor]

    def __init__(self, base: Base, compute: torch.dtype) -> None:
        super().__init__()
        self.compute = compute
        self.layers = base.layers
        self.matrices = base.matrices  # float32, never trained themselves
        self.embedding = base.embedding.to(compute)
        self.norms = nn.Parameter(base.norms.clone())
        self.last_norm = nn.Parameter(base.last_norm.clone())
        self.mask_row = nn.Parameter(base.embedding[MASK].clone())

    @abstractmethod
    def changed(self) -> dict[str, Tensor]:
        """Return the stacks of matrices with the difference applied, in the compute type."""

    @abstractmethod
    def factors(self) -> list[nn.Parameter]:
        """Return the parameters that make up the matrices."""

    def rest(self) -> list[nn.Parameter]:
        return [self.norms, self.last_norm, self.mask_row]

    def merged(self) -> Weights:
        """Return the model; gradients flow back through it into the parameters."""
        return arrange(self.changed(), self.norms, self.last_norm, self.embedding, self.mask_row)


class LowRank(Drafter):
    """Each matrix is the base's plus `up @ down`; what ships is both factors in int8."""

    def __init__(self, base: Base, compute: torch.dtype, rank: int, seed: int) -> None:
        super().__init__(base, compute)
        generator = torch.Generator().manual_seed(seed)
        self.rank = rank
        self.quantised = False
        self.up, self.down = nn.ParameterDict(), nn.ParameterDict()
        for group, stack in base.matrices.items():
            count, outputs, inputs = stack.shape
            down = torch.randn(count, rank, inputs, generator=generator) / inputs**0.5
            self.down[group] = nn.Parameter(down.to(stack.device))
            self.up[group] = nn.Parameter(torch.zeros(count, outputs, rank, device=stack.device))

    def factors(self) -> list[nn.Parameter]:
        return [*self.up.values(), *self.down.values()]

    def changed(self) -> dict[str, Tensor]:
        stacks = {}
        for group, stack in self.matrices.items():
            up, down = self.up[group], self.down[group]
            if self.quantised:
                up, down = _rounded(up, 1), _rounded(down, 2)
            stacks[group] = torch.baddbmm(stack, up, down).to(self.compute)
        return stacks

    @torch.no_grad()
    def difference(self) -> dict[str, Tensor]:
        """Return the tensors that ship."""
        tensors: dict[str, Tensor] = {}
        for group in self.matrices:
            for at, name in enumerate(matrix_names(group, self.layers)):
                tensors |= difference.pack(self.up[group][at], self.down[group][at], name)
        for layer in range(self.layers):
            for at, norm in enumerate(NORMS):
                tensors[f"model.layers.{layer}.{norm}.weight"] = self.norms[layer, at]
        tensors["model.norm.weight"] = self.last_norm
        row = torch.tensor([MASK], device=self.mask_row.device)
        tensors |= difference.pack_rows(row, self.mask_row[None])
        return {
            name: (tensor if tensor.dtype != torch.float32 or name.endswith("scale")
                   else tensor.half()).detach().cpu().contiguous()
            for name, tensor in tensors.items()
        }  # fmt: skip

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up a shipped difference; a smaller rank fills the first places."""
        for group in self.matrices:
            self.up[group][:, :, :] = 0
            for at, name in enumerate(matrix_names(group, self.layers)):
                root = tensors[f"{name}.scale"].sqrt().to(self.mask_row.device)
                rank = len(root)
                self.up[group][at, :, :rank] = tensors[f"{name}.up"].to(root.device) * root
                self.down[group][at, :rank] = (
                    tensors[f"{name}.down"].to(root.device) * root[:, None]
                )
        for layer in range(self.layers):
            for at, norm in enumerate(NORMS):
                self.norms[layer, at] = tensors[f"model.layers.{layer}.{norm}.weight"].float()
        self.last_norm.copy_(tensors["model.norm.weight"])
        self.mask_row.copy_(tensors[f"{difference.EMBEDDING}.values"][0])


class Full(Drafter):
    """All matrices are trained; nothing of this size ships."""

    def __init__(self, base: Base, compute: torch.dtype) -> None:
        super().__init__(base, compute)
        self.whole = nn.ParameterDict(
            {group: nn.Parameter(stack.clone()) for group, stack in base.matrices.items()}
        )

    def factors(self) -> list[nn.Parameter]:
        return list(self.whole.values())

    def changed(self) -> dict[str, Tensor]:
        return {group: stack.to(self.compute) for group, stack in self.whole.items()}


def _rounded(factor: Tensor, dim: int) -> Tensor:
    """Round as the shipped file does; the gradient passes as if nothing had happened."""
    with torch.no_grad():
        whole, scale = difference.quantise(factor, dim)
        change = whole * scale - factor
    return factor + change


def save(tensors: dict[str, Tensor], folder: Path) -> None:
    """Write `difference-0.safetensors`, `difference-1…`, none larger than `SHARD_BYTES`."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if size + tensor.nbytes > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    for at, shard in enumerate(shards):
        save_file(shard, folder / f"difference-{at}.safetensors", {"format": "pt"})
        (folder / f"difference-{at}.safetensors").chmod(0o644)


def read(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of a shipped difference."""
    files = sorted(folder.glob("difference-*.safetensors"))
    if not files:
        raise FileNotFoundError(f"no difference-*.safetensors in {folder}")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}
