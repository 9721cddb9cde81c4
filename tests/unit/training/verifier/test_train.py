"""A short run lowers the loss and leaves the file that ships and its log."""

import json
from pathlib import Path

import pytest
import torch

from training import train as train_module
from training.chat import BUCKETS, draw_chunk
from training.network import Shape
from training.schedule import Stage
from training.stream import Pool
from training.tasks.registry import mix
from training.verifier import train as verifier_module
from training.verifier.layout import read
from training.verifier.lesson import next_tokens
from training.verifier.train import STAGE, VerifierTrainer, arguments
from training.vocabulary import load

SMALL = Shape(width=64, layers=2, heads=2, hidden=96, causal=True, tied=True)
STEPS = 30


class FewRows:
    """What a stream gives, without its processes."""

    def __iter__(self) -> "FewRows":
        self.seed = 0
        return self

    def __next__(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        self.seed += 1
        chunk = draw_chunk(load(), mix(), self.seed, rows=64)
        return [(torch.from_numpy(rows.tokens), torch.from_numpy(rows.starts)) for rows in chunk]


def _run(out: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.setattr(train_module, "LOG_EVERY", 10)
    monkeypatch.setattr(verifier_module, "VERIFIER", Stage(STEPS, 8e-3, warm_up=3))
    given = ["--out", str(out), "--steps", str(STEPS), "--tokens-per-step", "1024"]
    trainer = VerifierTrainer(arguments([*given, "--device", "cpu"]), SMALL)
    trainer.run(FewRows())  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["event"] == "saved"
    return [line["loss"] for line in lines if "loss" in line]


def test_the_loss_falls_and_the_same_seed_gives_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = _run(tmp_path / "a", monkeypatch)
    assert losses[-1] < 0.8 * losses[0]
    assert _run(tmp_path / "b", monkeypatch) == losses
    network, progress = read(tmp_path / "a", SMALL)
    assert progress.steps == STEPS
    assert progress.stage == STAGE
    assert network.shape == SMALL


def test_rows_of_every_length_teach_something() -> None:
    pool = Pool(torch.device("cpu"), 2**10, 1)
    pool.add(next(iter(FewRows())))
    for at, length in enumerate(BUCKETS):
        lesson = next_tokens(*pool.batch(at, 4 * length))
        assert lesson.weights.sum(1).min() >= 1
