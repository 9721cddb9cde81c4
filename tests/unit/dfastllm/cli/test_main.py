import os
import subprocess
import sys

import pytest

from dfastllm.__main__ import SPINS

# What `main` leaves in the environment before a command runs, and whether torch was there to see.
SHOW = """
import os, sys
import dfastllm.__main__ as command
assert "torch" not in sys.modules, "torch reads GOMP_SPINCOUNT when it is imported"
command.build_cli = lambda: lambda: print(os.environ.get("GOMP_SPINCOUNT"))
command.main()
"""


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, SPINS),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ],
)
def test_compute_threads_sleep_soon_unless_the_environment_says_how_they_wait(
    given: dict[str, str], found: str
) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=clean | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == found
