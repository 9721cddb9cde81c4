"""Weights laid out once for the CPU's bf16 matrix kernels, instead of anew in every call.

torch lays out a bf16 weight again for each product. With the few rows of a block that takes as long
as a third of the product itself. The results are the same numbers.
"""

from typing import cast

import torch
from torch import Tensor, nn

from dfastllm.models.device import give_memory_back
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.transformer import Transformer

_ops = torch.ops.mkldnn  # what torch's own compiler calls for a frozen linear layer


class PackedLinear(nn.Module):
    """A linear layer whose weight is kept in the kernels' layout, and can be read no more."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None):
        super().__init__()
        self._weight: Tensor = _ops._reorder_linear_weight(weight.detach(), None)
        self._bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        packed = _ops._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return cast(Tensor, packed)


def pack_linears(model: Transformer[NetworkSpec]) -> None:
    """Pack what `model` multiplies by, where there are kernels for it; else leave it as it is.

    A tied head gets a packed copy: the embedding is looked up row by row and stays.
    """
    weight = model.embed.weight
    if weight.dtype is not torch.bfloat16 or weight.device.type != "cpu" or not _is_supported():
        return
    for layer in model.layers:
        for name, child in list(layer.named_children()):
            if isinstance(child, nn.Linear):
                setattr(layer, name, PackedLinear(child.weight, child.bias))
        del child  # the plain weight goes before the next one is packed
        give_memory_back()  # what is packed does not fit into the holes that are left
    own = model.head.weight if isinstance(model.head, nn.Linear) else weight
    model.head = PackedLinear(own)


def _is_supported() -> bool:
    """False on processors without bf16 products, and in builds of torch without these kernels."""
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    return all(hasattr(_ops, name) for name in names) and _ops._is_mkldnn_bf16_supported()
