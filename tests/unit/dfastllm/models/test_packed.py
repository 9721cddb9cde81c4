"""Packing changes where weights lie, never what comes out, and only where there are kernels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfastllm.cache.policy import Feed
from dfastllm.models import checkpoint
from dfastllm.models.batch import Segment, pack
from dfastllm.models.checkpoint import load_model
from dfastllm.models.packed import PackedLinear, pack_linears
from support.reference import VECTORS

CPU = torch.device("cpu")
FAMILIES = ("dream", "llada")


def logits(folder: Path, dtype: str) -> Tensor:
    model = load_model(folder, dtype=dtype, device=CPU)
    tokens = np.arange(3, 20)
    feed = Feed(0, 17, 17, refresh=True, store=False)
    return model(pack([Segment(tokens, feed, np.arange(4, 17))], CPU))


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_weights_give_the_same_numbers(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = logits(VECTORS / f"{family}-tiny", "bfloat16")
    monkeypatch.setattr(checkpoint, "pack_linears", lambda model: None)
    assert torch.equal(packed, logits(VECTORS / f"{family}-tiny", "bfloat16"))


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_is_left_as_it_is(family: str) -> None:
    model = load_model(VECTORS / f"{family}-tiny", dtype="float32", device=CPU)
    assert not any(isinstance(module, PackedLinear) for module in model.modules())


def test_a_processor_without_bf16_kernels_computes_with_plain_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dfastllm.models.packed._is_supported", lambda: False)
    model = load_model(VECTORS / "dream-tiny", dtype="bfloat16", device=CPU)
    pack_linears(model)
    assert any(isinstance(module, nn.Linear) for module in model.modules())
