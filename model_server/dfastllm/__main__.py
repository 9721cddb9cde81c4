"""The command `dfastllm`, also as `python -m dfastllm`."""

import os

from dfastllm.cli import build_cli

SPINS = "20000"
"""How often a compute thread looks for the others before it sleeps (GNU OpenMP's GOMP_SPINCOUNT).

Left to itself it looks for milliseconds, at every barrier, some hundred times a step. On a machine
that does anything else the thread waited for is then the one that does not run. What this brings
and costs is in `docs/log.md` (2026-11-28).
"""


def main() -> None:
    if "OMP_WAIT_POLICY" not in os.environ:  # it says the same, more coarsely
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch loads the library
    build_cli()()


if __name__ == "__main__":
    main()
