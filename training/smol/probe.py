"""Compare ways to adapt on the same data: `python -m training.smol.probe --data FILE… --out DIR`.

Each variant takes the same few steps with the whole learning rate curve; the last lines say what
cross-entropy each reached on held-out text.
"""

import argparse
import gc
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from training.smol.network import weights_of
from training.smol.optimiser import Kind
from training.smol.pool import Pool
from training.smol.schedule import STAGES
from training.smol.streams import SIZES
from training.smol.train import Material, add_common, build, prepare, recipe_of
from training.smol.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to adapt."""

    name: str
    rate: float
    rank: int = 64
    kind: Kind = "adamw"
    full: bool = False
    soft: float | None = None  # instead of the command line's


VARIANTS = (
    Variant("muon_4e-3", 4e-3, kind="muon"),
    Variant("muon_1e-2", 1e-2, kind="muon"),
    Variant("muon_2e-3", 2e-3, kind="muon"),
    Variant("muon_4e-3_hard", 4e-3, kind="muon", soft=0.0),
    Variant("adamw_2e-3", 2e-3),
    Variant("full_4e-4", 4e-4, full=True),
)


def attempt(
    variant: Variant, material: Material, options: argparse.Namespace, begun: float
) -> dict[str, object]:
    """Train one variant; return what it reached."""
    started = time.monotonic()
    made, optimiser = build(
        material, variant.full, variant.rank, variant.kind, variant.rate, options.seed
    )
    pool = Pool(material.texts, material.tasks, options.task_share, options.tokens_per_step,
                options.seed, SIZES)  # fmt: skip
    options.soft = options.soft_given if variant.soft is None else variant.soft
    recipe = recipe_of(options, STAGES[0], options.steps, 0.0, 0)
    base = weights_of(material.base, made.compute)
    trainer = Trainer(made, optimiser, base, pool, material.held_out, recipe, None, begun)
    print(json.dumps({"variant": variant.name}), flush=True)
    trainer.run()
    seconds = round(time.monotonic() - started, 1)
    return {"variant": variant.name, "seconds": seconds, **trainer.evaluate()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_common(parser)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", nargs="+", help="names of variants")
    parser.add_argument("--limit-seconds", type=float, default=360.0, help="start none after that")
    options = parser.parse_args()
    options.stage = 0
    options.soft_given = options.soft
    begun = time.monotonic()
    material = prepare(options)
    found: list[dict[str, object]] = []
    longest = 0.0
    for variant in VARIANTS:
        if options.only and variant.name not in options.only:
            continue
        if time.monotonic() - begun + longest > options.limit_seconds:
            break
        row = attempt(variant, material, options, begun)
        longest = (
            float(str(row["seconds"]))
            if not found
            else max(float(str(one["seconds"])) for one in [*found[1:], row])
        )  # the first run compiles
        found.append(row)
        print(json.dumps(row), flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "probe.json").write_text(json.dumps(found, indent=1) + "\n")
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()
    for row in found:
        print(f"{row['variant']!s:22} draft {row['ce_draft']} active {row['ce_active']} "
              f"accuracy {row['accuracy_active']} {row['seconds']} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
