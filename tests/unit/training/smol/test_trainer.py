"""A run learns, rounds what it will ship, and keeps to its limit."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.smol import trainer as trainer_module
from training.smol.base import Base
from training.smol.conversations import Kind, collect
from training.smol.drafter import Full, LowRank
from training.smol.network import weights_of
from training.smol.optimiser import Optimiser
from training.smol.pool import Pool, lay_out
from training.smol.schedule import Stage
from training.smol.trainer import Recipe, Trainer, hold_out
from training.smol.vocabulary import END

CPU = torch.device("cpu")
RECIPE = Recipe(
    stage=Stage(warm_up=2, hold=0.5),
    steps=12,
    limit=0.0,
    seed=1,
    soft=1.0,
    cut=0.4,
    evaluate_every=0,
)


def make(base: Base, recipe: Recipe, out: Path | None = None, kind: str = "adamw") -> Trainer:
    rows = [([30, 31, 32, *([40 + at % 5] * 20), END], 3, Kind.TEXT) for at in range(60)]
    kept, held = hold_out(lay_out(collect(rows), CPU), 10)
    drafter = LowRank(base, torch.float32, rank=4, seed=1)
    pool = Pool(kept, kept, task_share=0.3, tokens=1024, seed=1)
    optimiser = Optimiser(
        drafter.factors(), drafter.rest(), "muon" if kind == "muon" else "adamw", 1e-2
    )
    reader = weights_of(base, torch.float32)
    return Trainer(drafter, optimiser, reader, pool, held, recipe, out, time.monotonic())


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_masked_text_becomes_likelier(base: Base, kind: str, tmp_path: Path) -> None:
    trained = make(base, RECIPE, tmp_path, kind)
    before = trained.evaluate()
    assert trained.run() == RECIPE.steps
    after = trained.evaluate()
    assert after["ce_active"] < before["ce_active"]
    assert isinstance(trained.drafter, LowRank)
    assert trained.drafter.quantised
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["event"] == "trained"


def test_measuring_is_the_same_every_time(base: Base) -> None:
    trainer = make(base, RECIPE)
    assert trainer.evaluate() == trainer.evaluate()


def test_the_same_seed_gives_the_same_run(base: Base) -> None:
    runs = [make(base, RECIPE) for _ in range(2)]
    for run in runs:
        run.run()
    assert runs[0].evaluate() == runs[1].evaluate()


def test_a_limit_shortens_a_run(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "MEASURE_FROM", 2)
    monkeypatch.setattr(trainer_module, "FIT_EVERY", 4)
    recipe = replace(RECIPE, steps=10**6, limit=1e-3, soft=0.0)
    assert make(base, recipe).run() == 5


def test_the_base_itself_stays_as_it_is(base: Base) -> None:
    trainer = make(base, RECIPE)
    before = [tensor.clone() for layer in trainer.base.layers for tensor in layer]
    trainer.run()
    after = [tensor for layer in trainer.base.layers for tensor in layer]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_all_matrices_can_be_trained_to_compare(base: Base) -> None:
    trainer = make(base, RECIPE)
    full = Full(base, torch.float32)
    trainer.drafter = full
    trainer.optimiser = Optimiser(full.factors(), full.rest(), "adamw", 1e-3)
    before = trainer.evaluate()["ce_active"]
    trainer.run()
    assert trainer.evaluate()["ce_active"] < before
