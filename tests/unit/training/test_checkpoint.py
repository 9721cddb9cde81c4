"""A stage that resumes from shards goes on exactly where it stopped."""

from pathlib import Path

import pytest
import torch

from training import checkpoint
from training.checkpoint import Progress
from training.network import Network, Shape
from training.optimiser import Optimiser, orthogonalise

PROGRESS = Progress(1, 1, 3, 3, 1024, 0.5, "cpu")
SHAPE = Shape(width=32, layers=2, heads=2, hidden=48)


def _pair() -> tuple[Network, Optimiser]:
    network = Network(SHAPE)
    network.initialise(0)
    return network, Optimiser(network, compiled=False)


def _step(network: Network, optimiser: Optimiser, seed: int) -> None:
    tokens = torch.randint(512, (16, 32), generator=torch.Generator().manual_seed(seed))
    loss = torch.nn.functional.cross_entropy(network(tokens).flatten(0, 1), tokens.flatten())
    torch.autograd.backward(loss)
    optimiser.step(1e-3)


def test_a_resumed_stage_has_the_weights_and_momenta_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 40_000)
    network, optimiser = _pair()
    _step(network, optimiser, 1)
    checkpoint.save(tmp_path, network, optimiser, PROGRESS)
    assert len(list(tmp_path.glob("state-*.safetensors"))) > 2
    resumed, its_optimiser = _pair()
    tensors, progress = checkpoint.read(tmp_path)
    checkpoint.load_network(resumed, tensors)
    checkpoint.load_optimiser(its_optimiser, tensors)
    assert progress == PROGRESS
    for a, b in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    before, after = optimiser.state(), its_optimiser.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    _step(resumed, its_optimiser, 2)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize("shape", [(2, 48, 16), (2, 16, 48)])
def test_updates_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    batch = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(batch).float())
    assert values.min() > 0.3
    assert values.max() < 1.4
