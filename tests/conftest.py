"""Fixtures and settings shared by all tests."""

import os

# The models here are tiny: one thread is faster than two, and tests stay apart from one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
