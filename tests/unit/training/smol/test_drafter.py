"""What was trained is what ships, and what ships is what is served."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dfastllm.builtin import difference
from training.smol import drafter
from training.smol.base import Base, stack
from training.smol.drafter import Full, LowRank
from training.smol.network import Weights, fill, logits_of, read, weights_of
from training.smol.vocabulary import MASK

TOKENS = torch.tensor([[30, 40, 50, MASK, 60, MASK, MASK]])


@pytest.fixture
def trained(base: Base) -> LowRank:
    """A drafter some way from its base."""
    torch.manual_seed(0)
    made = LowRank(base, torch.float32, rank=4, seed=1)
    with torch.no_grad():
        for parameter in (*made.factors(), *made.rest()):
            parameter.add_(torch.randn_like(parameter) * 0.05)
    made.quantised = True
    return made


def states(model: Weights) -> Tensor:
    """Of a block, masks in it, behind a context of three tokens."""
    positions = torch.arange(3, 3 + TOKENS.shape[1])[None].expand(len(TOKENS), -1)
    _, context = read(model, torch.full((len(TOKENS), 3), 40))
    return fill(model, TOKENS, positions, torch.zeros(1, 1, 1, 1), context)


def logits(model: Weights) -> Tensor:
    with torch.no_grad():
        found = logits_of(model, states(model))
    found[..., MASK] = 0
    return found


def test_a_fresh_difference_changes_nothing(base: Base) -> None:
    fresh = LowRank(base, torch.float32, rank=4, seed=1).merged()
    torch.testing.assert_close(logits(fresh), logits(weights_of(base, torch.float32)))
    whole = Full(base, torch.float32).merged()
    torch.testing.assert_close(logits(whole), logits(fresh))


def test_a_saved_difference_gives_the_trained_model(
    base: Base, named: dict[str, Tensor], trained: LowRank, tmp_path: Path
) -> None:
    drafter.save(trained.difference(), tmp_path)
    tensors = drafter.read(tmp_path)
    wanted = logits(trained.merged())
    restored = LowRank(base, torch.float32, rank=4, seed=0)
    restored.restore(tensors)
    again = logits(restored.merged())
    torch.testing.assert_close(again, wanted, atol=2e-2, rtol=0)
    served = difference.apply(named, tensors)
    mask_row = served["model.embed_tokens.weight"][MASK]
    assert not torch.equal(mask_row, base.embedding[MASK])
    applied = logits(weights_of(stack(served), torch.float32))
    torch.testing.assert_close(applied, again, atol=1e-4, rtol=0)


def test_matrices_ship_in_bytes_and_norms_in_halves(trained: LowRank) -> None:
    tensors = trained.difference()
    name = "model.layers.1.mlp.down_proj.weight"
    assert tensors[f"{name}.up"].dtype == tensors[f"{name}.down"].dtype == torch.int8
    assert tensors[f"{name}.scale"].shape == (4,)
    assert tensors["model.norm.weight"].dtype == torch.float16
    assert tensors["model.embed_tokens.rows"].tolist() == [MASK]


def test_shards_stay_under_their_limit(
    trained: LowRank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafter, "SHARD_BYTES", 2000)
    tensors = trained.difference()
    drafter.save(tensors, tmp_path)
    assert len(list(tmp_path.glob("difference-*.safetensors"))) > 1
    assert drafter.read(tmp_path).keys() == tensors.keys()


def test_rounding_lets_the_gradient_through(trained: LowRank) -> None:
    states(trained.merged()).sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in trained.parameters())


def test_the_base_stays_as_it_is(named: dict[str, Tensor], trained: LowRank) -> None:
    before = {name: tensor.clone() for name, tensor in named.items()}
    difference.apply(named, trained.difference())
    assert all(torch.equal(named[name], before[name]) for name in named)


def test_a_difference_of_another_base_is_refused(named: dict[str, Tensor]) -> None:
    with pytest.raises(KeyError, match=r"model\.layers\.7\.input_layernorm\.weight"):
        difference.apply(named, {"model.layers.7.input_layernorm.weight": torch.ones(4)})
