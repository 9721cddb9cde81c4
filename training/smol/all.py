"""Everything in one go: `python -m training.smol.all --out DIR`, on all GPUs of the machine.

Data, four training stages, the quality harness on what they made and on the base alone, the
shipped folder. DIR is new or empty: what an earlier run left there is another model's.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training.smol.export import BASE, SHIPPED

RECIPE = ("--rank", "64", "--optimiser", "muon", "--tokens-per-step", "131072")
ROWS = 128  # answers side by side


@dataclass(frozen=True, slots=True)
class Run:
    """A stage: seconds of sampling before it, on one GPU, and its steps."""

    sampled: int
    steps: int


RUNS = {1: Run(150, 2297), 2: Run(90, 3407), 3: Run(0, 1932), 4: Run(120, 1663)}


def run(module: str, *arguments: object, launch: Sequence[str] = ()) -> None:
    """Run one command of this repository, `launch` before it, and stop if it fails."""
    command = [sys.executable, *launch, "-m", module, *map(str, arguments)]
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)


def train(out: Path, seed: int, gpus: int) -> Path:
    """Run every stage, and return the folder of the last."""
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", str(gpus)) if gpus > 1 else ()
    data: list[Path] = []
    for stage, planned in RUNS.items():
        if planned.sampled:
            data.append(out / f"data{stage}")
            run("training.smol.data", "--seed", seed * 10 + stage, "--seconds", planned.sampled,
                "--out", data[-1])  # fmt: skip
        resume = ("--resume", out / f"stage{stage - 1}") if stage > 1 else ()
        run("training.smol.train", "--stage", stage, "--seed", seed, "--steps", planned.steps,
            "--data", *data, "--out", out / f"stage{stage}", *resume, *RECIPE,
            launch=launch)  # fmt: skip
    return out / f"stage{max(RUNS)}"


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
    parser.add_argument("--gpus", type=int, default=max(1, torch.cuda.device_count()))
    parser.add_argument("--shipped", type=Path, default=SHIPPED)
    options = parser.parse_args()
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        parser.error(f"--out: {options.out} is used already; name another folder")
    last = train(options.out, options.seed, options.gpus)
    results = measure(last, options.out / "results")
    run("training.smol.export", "--checkpoint", last, "--results", *results,
        "--out", options.shipped)  # fmt: skip


if __name__ == "__main__":
    main()
