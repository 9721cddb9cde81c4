"""Run by `torchrun` in a test: trains the small base of `argv[1]` and notes what it came to."""

import os
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training.smol import base as smol_base
from training.smol import train, vocabulary
from training.smol.pool import Batch, Pool
from training.smol.trainer import Trainer

folder, rank = Path(sys.argv.pop(1)), os.environ["RANK"]
smol_base.locate = lambda path: folder / "base.pt"
smol_base.read = lambda path: torch.load(path, weights_only=False)
train.load_tokenizer = lambda path: Tokenizer.from_file(str(folder / "tokenizer.json"))
vocabulary.load_tokenizer = train.load_tokenizer
run, draw = Trainer.run, Pool.batch


def run_and_tell(self: Trainer) -> int:
    steps = run(self)
    total = sum(float(p.detach().abs().sum()) for p in self.drafter.parameters())
    (folder / f"sum{rank}").write_text(f"{total:.6f}")
    return steps


def draw_and_tell(self: Pool, length: int) -> Batch:
    batch = draw(self, length)
    with (folder / f"rows{rank}").open("a") as file:
        file.write(f"{batch.tokens.sum(1).tolist()}\n")
    return batch


Trainer.run, Pool.batch = run_and_tell, draw_and_tell
train.main()
