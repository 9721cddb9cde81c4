"""Train the verifier: `python -m training.verifier.train --out DIR`.

Network code, stream, optimiser, schedule and loop are the drafter's. What is written is the file
that ships; there is no later stage.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from training.checkpoint import Progress
from training.network import Network, Shape
from training.schedule import STAGES, VERIFIER
from training.stream import Stream
from training.tasks.registry import mix
from training.train import Options, Trainer
from training.verifier.layout import SHAPE, save
from training.verifier.lesson import next_tokens

STAGE = max(STAGES) + 1  # data of its own


class VerifierTrainer(Trainer):
    """Teaches the next token instead of masked ones."""

    def __init__(self, options: Options, shape: Shape = SHAPE) -> None:
        super().__init__(options, VERIFIER, Network(shape))

    def lesson(self, tokens: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        lesson = next_tokens(tokens, starts)
        return tokens, lesson.wanted, lesson.weights

    def save(self, progress: Progress) -> None:
        save(self.options.out, self.network, progress)


def arguments(given: list[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="instead of the usual number")
    parser.add_argument("--tokens-per-step", type=int, default=65_536)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--fit-seconds",
        type=float,
        default=0.0,
        help="fewer steps if a slow device would take longer than this (0: never)",
    )
    return Options(stage=STAGE, resume=None, **vars(parser.parse_args(given)))


def main() -> None:
    options = arguments()
    with Stream(mix(), options.seed, options.stage, options.workers) as stream:
        trainer = VerifierTrainer(options)
        said = {k: v for k, v in asdict(options).items() if k not in ("out", "resume")}
        trainer.log(event="start", options=said)
        trainer.run(stream)


if __name__ == "__main__":
    main()
