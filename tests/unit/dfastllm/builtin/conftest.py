"""The published base, opened once: its vocabulary takes seconds to read."""

import pytest
from gguf import GGUFReader

from dfastllm.builtin.base import find_base, open_gguf


@pytest.fixture(scope="session")
def published() -> GGUFReader:
    return open_gguf(find_base())
