"""Importing this makes `tests` importable: benchmarks run on the tests' own cluster."""

import sys
from pathlib import Path

TESTS = str(Path(__file__).parents[1] / "tests")

if TESTS not in sys.path:
    sys.path.insert(0, TESTS)
