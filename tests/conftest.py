"""Fixtures and settings shared by all tests."""

import os
from collections import Counter
from contextlib import suppress

import pytest

# The models here are tiny: one thread is faster than two, and tests stay apart from one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

with suppress(ModuleNotFoundError):  # tests on a GPU machine do without
    from hypothesis import HealthCheck, settings

    # How long a machine takes is no failure of what is tested.
    settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the same name would be one to xdist, and all but the last be left out silently."""
    counts = Counter(item.nodeid for item in items)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise pytest.UsageError(f"more than one test is called {', '.join(twice)}")
