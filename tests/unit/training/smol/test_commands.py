"""The commands work together: what one writes, the next reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from training.smol import base as smol_base
from training.smol import (
    conversations,
    data,
    drafter,
    exact,
    prompts,
    talk,
    train,
    vocabulary,
)
from training.smol import probe as probe_module
from training.smol.base import Base
from training.smol.conversations import Kind
from training.tasks.wide import WIDE_TASKS, wide_mix


@pytest.fixture(autouse=True)
def small(base: Base, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the small base and single bytes where the commands look for the real ones."""
    monkeypatch.setattr(smol_base, "locate", lambda path: path)
    monkeypatch.setattr(smol_base, "read", lambda path: base)
    for module in (vocabulary, data, train):
        monkeypatch.setattr(module, "load_tokenizer", lambda path: tokenizer, raising=False)


def call(monkeypatch: pytest.MonkeyPatch, main: object, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments), "--device", "cpu"])
    assert callable(main)
    main()


@pytest.fixture
def talked(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """Conversations of the hand-written kind, short enough for single bytes."""
    rows = []
    for _, answer in talk.TALK:
        for question in prompts.ASKED_SHORT:
            before = vocabulary.chat([(question, "")])
            ids = tokenizer.encode(f"{before}{answer[:40]}<|im_end|>").ids
            rows.append((ids, len(tokenizer.encode(before).ids), Kind.TALK))
    conversations.save(conversations.collect(rows), tmp_path / "talked")
    return tmp_path / "talked"


def test_the_base_is_sampled_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data.sanity, "is_worth_learning", lambda *written: True)
    call(monkeypatch, data.main, "--seconds", 1.5, "--rows", 4, "--out", tmp_path / "data")
    found = conversations.load([tmp_path / "data"])
    assert Kind.TEXT in found.kinds
    assert (tmp_path / "data.txt").read_text().startswith("<|im_start|>")


def test_a_stage_takes_up_the_one_before(
    talked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ("--data", talked, "--tokens-per-step", 512, "--tasks", 40, "--workers", 1,
              "--evaluated", 6, "--rank", 4, "--steps", 3)  # fmt: skip
    call(monkeypatch, train.main, "--stage", 1, "--out", tmp_path / "1", *common)
    call(monkeypatch, train.main, "--stage", 2, "--out", tmp_path / "2",
         "--resume", tmp_path / "1", *common)  # fmt: skip
    progress = json.loads((tmp_path / "2" / "progress.json").read_text())
    assert progress["total_steps"] == 6
    changed = {
        name
        for name, tensor in drafter.read(tmp_path / "1").items()
        if name.endswith(".up") and tensor.any()
    }
    assert len(changed) == 14


def test_variants_are_compared_on_the_same_data(
    talked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        probe_module, "VARIANTS",
        (
            probe_module.Variant("low", 1e-3, rank=4),
            probe_module.Variant("muon", 1e-3, rank=4, kind="muon", soft=0.0),
            probe_module.Variant("full", 1e-4, full=True),
        ),
    )  # fmt: skip
    call(monkeypatch, probe_module.main, "--data", talked, "--tokens-per-step", 512, "--tasks", 40,
         "--workers", 1, "--evaluated", 6, "--steps", 2, "--out", tmp_path / "probe")  # fmt: skip
    rows = json.loads((tmp_path / "probe" / "probe.json").read_text())
    assert [row["variant"] for row in rows] == ["low", "muon", "full"]
    assert all(row["ce_draft"] > 0 for row in rows)


def test_lines_by_hand_stand_among_the_tasks(tokenizer: Tokenizer) -> None:
    """They are learned word for word: the base, whose law teaches text, does not know them."""
    drawn = exact.draw(tokenizer, seed=4, count=200, workers=1)
    share = (drawn.kinds == Kind.TALK).mean()
    assert exact.TALK_SHARE / 3 < share < exact.TALK_SHARE * 3
    assert set(drawn.kinds.tolist()) == {Kind.TALK, Kind.TASK}


def test_what_is_learned_last_is_drawn_more_often() -> None:
    assert set(WIDE_TASKS) > exact.SLOW
    plain, boosted = wide_mix(), wide_mix(boost=dict.fromkeys(exact.SLOW, exact.SLOW_BOOST))
    gained = {name for name in plain if boosted[name] > plain[name]}
    assert gained == exact.SLOW
    assert sum(boosted.values()) == pytest.approx(1)


def test_tasks_are_the_same_for_a_seed(tokenizer: Tokenizer) -> None:
    first, second = (exact.draw(tokenizer, seed=3, count=10, workers=1) for _ in range(2))
    assert (first.tokens == second.tokens).all()


def test_two_processes_make_one_checkpoint(
    base: Base, tokenizer: Tokenizer, talked: Path, tmp_path: Path
) -> None:
    """Each draws rows of its own; the parameters stay the same in both."""
    torch.save(base, tmp_path / "base.pt")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0",
        str(Path(__file__).with_name("train_small.py")), str(tmp_path),
        "--data", str(talked), "--tokens-per-step", "1024", "--tasks", "40", "--workers", "1",
        "--evaluated", "6", "--rank", "4", "--steps", "3", "--device", "cpu",
        "--stage", "1", "--out", str(tmp_path / "out"), "--optimiser", "muon",
    ]  # fmt: skip
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    progress = json.loads((tmp_path / "out" / "progress.json").read_text())
    assert (progress["gpus"], progress["tokens_per_step"]) == (2, 1024)
    sums = [(tmp_path / f"sum{rank}").read_text() for rank in (0, 1)]
    assert sums[0] == sums[1]
    rows = [(tmp_path / f"rows{rank}").read_text() for rank in (0, 1)]
    assert rows[0] != rows[1]
