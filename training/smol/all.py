"""Everything in one go: `python -m training.smol.all --out DIR` on one GPU.

Data, two training stages on fresh conversations each, the quality harness on what they made and on
the base alone, the shipped folder.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from training.smol.export import SHIPPED

RECIPE = ("--rank", "64", "--optimiser", "muon", "--tokens-per-step", "131072")
STEPS = {1: 750, 2: 2400}
SAMPLED_SECONDS = 95
BASE = "builtin:smol-base"
ROWS = 128  # answers side by side


def run(module: str, *arguments: object) -> None:
    """Run one command of this repository and stop if it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)


def train(out: Path, seed: int, seconds: float) -> Path:
    """Run every stage, and return the folder of the last."""
    data: list[Path] = []
    for stage, steps in STEPS.items():
        data.append(out / f"data{stage}")
        run("training.smol.data", "--seed", seed * 10 + stage, "--seconds", seconds,
            "--out", data[-1])  # fmt: skip
        resume = ("--resume", out / f"stage{stage - 1}") if stage > 1 else ()
        run("training.smol.train", "--stage", stage, "--seed", seed, "--steps", steps,
            "--data", *data, "--out", out / f"stage{stage}", *resume, *RECIPE)  # fmt: skip
    return out / f"stage{max(STEPS)}"


def measure(checkpoint: Path, out: Path) -> list[Path]:
    """Ask a checkpoint and the base alone the same questions; returns the raw results.

    What was answered before is kept: the measuring can be gone on with.
    """
    made = (out / "preview").absolute()  # a name without a leading slash would be a hub id
    run("training.smol.export", "--checkpoint", checkpoint, "--preview", made)
    common = ("--grid", "card", "--base", BASE, "--rows", ROWS, "--out", out, "--resume")
    run("benchmarks.quality", "--model", made, "--verifier", BASE, "--name", "smol", *common)
    run("benchmarks.quality", "--model", f"causal:{BASE}", "--suites", "everyday", "facts",
        "--name", "smol-base", *common)  # fmt: skip
    return [out / "smol.json", out / "smol-base.json"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SAMPLED_SECONDS, help="of sampling a set")
    parser.add_argument("--shipped", type=Path, default=SHIPPED)
    options = parser.parse_args()
    last = train(options.out, options.seed, options.seconds)
    results = measure(last, options.out / "results")
    run("training.smol.export", "--checkpoint", last, "--results", *results,
        "--out", options.shipped)  # fmt: skip


if __name__ == "__main__":
    main()
