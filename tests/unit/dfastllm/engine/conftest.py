"""A random model with a network that reads its context, in both layouts."""

from pathlib import Path

import pytest

from support.causal_context import two_network_checkpoint
from support.two_networks import Pair, load_pair


@pytest.fixture(scope="session")
def dream_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_network_checkpoint(tmp_path_factory.mktemp("dream"))


@pytest.fixture(scope="session")
def dream_pair(dream_folder: Path) -> Pair:
    return load_pair(dream_folder)


@pytest.fixture(scope="session")
def llada_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return load_pair(two_network_checkpoint(tmp_path_factory.mktemp("llada"), "llada"))


@pytest.fixture(params=("dream", "llada"))
def either_pair(request: pytest.FixtureRequest) -> Pair:
    pair: Pair = request.getfixturevalue(f"{request.param}_pair")
    return pair
