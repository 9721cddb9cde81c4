"""Adapt the base: `python -m training.smol.train --stage 1 --data FILE… --out DIR`.

What a run writes is what ships (`difference-*.safetensors`); a later run takes it up again.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from training.smol import base as smol_base
from training.smol import conversations, drafter, exact
from training.smol.base import Base
from training.smol.crew import Crew, join
from training.smol.drafter import Drafter, Full, LowRank
from training.smol.network import weights_of
from training.smol.optimiser import Kind, Optimiser
from training.smol.pool import Pool, Rows, lay_out
from training.smol.schedule import STAGES, Stage
from training.smol.streams import SIZES
from training.smol.trainer import EVALUATED, Recipe, Trainer, hold_out
from training.smol.vocabulary import load_tokenizer

RATES: dict[str, float] = {"adamw": 2e-3, "muon": 4e-3, "full": 4e-4}


@dataclass(frozen=True, slots=True)
class Material:
    """The base and rows to train on and to measure with, on the device."""

    crew: Crew
    base: Base
    texts: list[Rows]
    tasks: list[Rows]
    held_out: list[Rows]


def prepare(options: argparse.Namespace) -> Material:
    """Read everything; tasks are drawn first, by forked processes that must not know CUDA."""
    path = smol_base.locate(options.base)
    tokenizer = load_tokenizer(path)
    drawn = exact.draw(
        tokenizer, options.seed * 100 + options.stage, options.tasks, options.workers
    )
    texts = conversations.load(options.data)
    crew = join(options.device)
    device = crew.device
    kept, held_out = hold_out(lay_out(texts, device), options.evaluated)
    return Material(crew, smol_base.read(path).to(device), kept, lay_out(drawn, device), held_out)


def build(
    material: Material, full: bool, rank: int, kind: Kind, rate: float | None, seed: int
) -> tuple[Drafter, Optimiser]:
    """Make a drafter and its optimiser."""
    on_gpu = material.base.embedding.is_cuda
    compute = torch.bfloat16 if on_gpu else torch.float32
    made: Drafter = (
        Full(material.base, compute) if full else LowRank(material.base, compute, rank, seed)
    )
    made.to(material.base.embedding.device)
    rate = rate or RATES["full" if full and kind == "adamw" else kind]
    return made, Optimiser(made.factors(), made.rest(), kind, rate)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_common(parser)
    parser.add_argument("--stage", type=int, default=1, choices=sorted(STAGES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="folder of the stage before")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--full", action="store_true", help="all matrices; to compare, not to ship")
    parser.add_argument("--optimiser", choices=("adamw", "muon"), default="adamw")
    parser.add_argument("--rate", type=float, help=f"default by optimiser: {RATES}")
    parser.add_argument("--steps", type=int, default=0, help="0: as many as fit --limit-seconds")
    parser.add_argument("--limit-seconds", type=float, default=0.0, help="of the whole process")
    parser.add_argument("--evaluate-every", type=int, default=500)
    return parser.parse_args()


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what `train` and `probe` have in common."""
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base", type=Path, help="GGUF file of the base")
    parser.add_argument("--tokens-per-step", type=int, default=65_536)
    parser.add_argument("--task-share", type=float, default=0.5)
    parser.add_argument("--tasks", type=int, default=300_000, help="examples of exact tasks")
    parser.add_argument("--soft", type=float, default=1.0, help="weight of the base's distribution")
    parser.add_argument("--cut", type=float, default=0.5, help="blocks masked right of a point")
    parser.add_argument("--evaluated", type=int, default=EVALUATED, help="rows held out")
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def recipe_of(options: argparse.Namespace, stage: Stage, steps: int, limit: float,
              evaluate_every: int) -> Recipe:  # fmt: skip
    return Recipe(
        stage=stage,
        steps=steps,
        limit=limit,
        seed=options.seed * 1000 + options.stage,
        soft=options.soft,
        cut=options.cut,
        evaluate_every=evaluate_every,
    )


def main() -> None:
    options = parse()
    begun = time.monotonic()
    if not options.steps and not options.limit_seconds:
        raise SystemExit("say --steps or --limit-seconds")
    material = prepare(options)
    made, optimiser = build(material, options.full, options.rank, options.optimiser,
                            options.rate, options.seed)  # fmt: skip
    resumed: dict[str, object] = {}
    if options.resume is not None and isinstance(made, LowRank):
        made.restore(drafter.read(options.resume))
        progress = options.resume / "progress.json"
        resumed = json.loads(progress.read_text()) if progress.exists() else {}
    crew = material.crew
    pool = Pool(material.texts, material.tasks, options.task_share,
                options.tokens_per_step // crew.count, options.seed * 10 + options.stage, SIZES,
                crew.rank)  # fmt: skip
    recipe = recipe_of(options, STAGES[options.stage], options.steps, options.limit_seconds,
                       options.evaluate_every)  # fmt: skip
    base = weights_of(material.base, made.compute)
    trainer = Trainer(made, optimiser, base, pool, material.held_out, recipe, options.out, begun,
                      crew)  # fmt: skip
    said = {name: str(value) if isinstance(value, Path) else value
            for name, value in vars(options).items()
            if name not in ("data", "out", "resume", "base")}  # fmt: skip
    trainer.log(event="start", options=said, rows=[len(rows) for rows in material.texts],
                tasks=[len(rows) for rows in material.tasks], shares=pool.shares,
                batches=pool.counts)  # fmt: skip
    trainer.log(step=0, **trainer.evaluate())
    steps = trainer.run()
    measured = trainer.evaluate()
    crew.part()
    if not crew.leads:
        return
    if isinstance(made, LowRank):
        drafter.save(made.difference(), options.out)
    notes = {
        "stage": options.stage, "seed": options.seed, "rank": options.rank, "steps": steps,
        "total_steps": steps + int(str(resumed.get("total_steps", 0))),
        "tokens_per_step": options.tokens_per_step, "gpus": crew.count,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "seconds": round(time.monotonic() - begun, 1), **measured,
    }  # fmt: skip
    (options.out / "progress.json").write_text(json.dumps(notes, indent=1) + "\n")
    trainer.log(event="saved", steps=steps)


if __name__ == "__main__":
    main()
