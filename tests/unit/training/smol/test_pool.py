"""Conversations become rows of fixed lengths in the shares that were asked for."""

from pathlib import Path
from random import Random

import pytest
import torch

from training.smol import conversations
from training.smol.conversations import Conversations, Kind
from training.smol.pool import LENGTHS, Pool, lay_out
from training.smol.trainer import hold_out
from training.smol.vocabulary import END, END_OF_TEXT

CPU = torch.device("cpu")


def drawn(count: int, first: int, longest: int, kind: Kind) -> Conversations:
    rng = Random(first)
    rows = []
    for at in range(count):
        size = rng.randint(20, longest)
        rows.append(([first + at % 50] * (size - 1) + [END], rng.randint(5, 12), kind))
    return conversations.collect(rows)


@pytest.fixture
def pool() -> Pool:
    texts = lay_out(drawn(400, 100, 250, Kind.TEXT), CPU)
    tasks = lay_out(drawn(400, 1000, 120, Kind.TASK), CPU)
    return Pool(texts, tasks, task_share=0.35, tokens=4096, seed=1)


def test_parts_on_disk_hold_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "PART_TOKENS", 3000)
    found = drawn(100, 100, 250, Kind.TEXT)
    paths = conversations.save(found, tmp_path / "set.v1")
    assert len(paths) > 2
    again = conversations.load([tmp_path / "set.v1"])
    assert len(again) == len(found)
    assert all((again.row(at) == found.row(at)).all() for at in range(len(found)))
    assert (again.starts == found.starts).all()


def test_rows_are_filled_up_with_the_end_of_text() -> None:
    rows = lay_out(drawn(50, 100, 250, Kind.TEXT), CPU)
    for part, length in zip(rows, LENGTHS, strict=True):
        assert part.tokens.shape[1] == length
        for row in part.tokens:
            ends = (row == END).nonzero()
            if len(ends):
                assert (row[int(ends[0]) + 1 :] == END_OF_TEXT).all()


def test_tasks_have_their_share_of_all_tokens(pool: Pool) -> None:
    steps = [pool.length_of(step) for step in range(3000)]
    assert set(steps[:3]) == {0, 1, 2}
    tokens = [0, 0]
    for at in steps:
        for kind in (0, 1):
            tokens[kind] += pool.counts[at][kind] * LENGTHS[at]
    assert tokens[1] / sum(tokens) == pytest.approx(0.35, abs=0.03)


def test_a_batch_holds_text_first(pool: Pool) -> None:
    batch = pool.batch(0)
    assert (batch.tokens[: batch.texts, 0] < 1000).all()
    assert (batch.tokens[batch.texts :, 0] >= 1000).all()


def test_what_is_measured_is_not_trained_on() -> None:
    rows = lay_out(drawn(300, 100, 250, Kind.TEXT), CPU)
    kept, held = hold_out(rows, 60)
    assert sum(map(len, held)) == pytest.approx(60, abs=2)
    assert [len(a) + len(b) for a, b in zip(kept, held, strict=True)] == [len(r) for r in rows]
