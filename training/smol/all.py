"""Everything in one go: `python -m training.smol.all --out DIR` on one GPU.

Data, two training stages on fresh conversations each, evaluation, the shipped folder. The steps of
a stage are fixed unless `--limit-seconds` shortens them.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from training.smol.export import SHIPPED

RECIPE = ("--rank", "64", "--optimiser", "muon", "--tokens-per-step", "131072")
STEPS = {1: 750, 2: 2400}
SAMPLED_SECONDS = 95


def run(module: str, *arguments: object) -> None:
    """Run one command of this package and stop if it fails."""
    command = [sys.executable, "-m", f"training.smol.{module}", *map(str, arguments)]
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SAMPLED_SECONDS, help="of sampling a set")
    parser.add_argument("--shipped", type=Path, default=SHIPPED)
    options = parser.parse_args()
    data: list[Path] = []
    for stage, steps in STEPS.items():
        data.append(options.out / f"data{stage}")
        run("data", "--seed", options.seed * 10 + stage, "--seconds", options.seconds,
            "--out", data[-1])  # fmt: skip
        resume = ("--resume", options.out / f"stage{stage - 1}") if stage > 1 else ()
        run("train", "--stage", stage, "--seed", options.seed, "--steps", steps, "--data", *data,
            "--out", options.out / f"stage{stage}", *resume, *RECIPE)  # fmt: skip
    last = options.out / f"stage{max(STEPS)}"
    run("evaluate", "--checkpoint", last, "--out", options.out / "results.json")
    run("export", "--checkpoint", last, "--results", options.out / "results.json",
        "--out", options.shipped)  # fmt: skip


if __name__ == "__main__":
    main()
