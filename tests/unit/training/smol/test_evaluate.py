"""Answers are counted, judged by the base, and compared with the base's own."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from training.smol import drafter, evaluate, export
from training.smol.base import Base
from training.smol.decode import Decoded, Rule
from training.smol.drafter import LowRank
from training.smol.evaluate import Question, Scorer
from training.smol.facts import Fact
from training.smol.network import weights_of
from training.smol.vocabulary import chat

QUESTIONS = [
    Question("everyday", chat([("What is tea?", "")])),
    Question("facts", chat([("Capital of Peru?", "")]), fact=Fact("Capital of Peru?", ("Lima",))),
]


@pytest.fixture
def scorer(base: Base, tokenizer: Tokenizer) -> Scorer:
    model = weights_of(base, torch.float32)
    return Scorer(model, model, tokenizer, batch=4)


def test_rows_say_what_was_answered(scorer: Scorer, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("It is Lima.", add_special_tokens=False).ids
    rows = scorer.judge(QUESTIONS, [Decoded(ids, 3, True), Decoded(ids, 4, False)])
    assert rows["facts"]["right"] == 100
    assert rows["facts"]["per_forward"] == 3
    assert rows["everyday"]["ended"] == 100
    assert rows["everyday"]["nats"] > 0
    assert "facts" in evaluate.table({"k1": rows})


def test_the_base_likes_its_own_greedy_answers_best(scorer: Scorer) -> None:
    own = scorer.base_answers(QUESTIONS, canvas=32)
    drafted = scorer.answer(QUESTIONS, Rule("k4", count=4), canvas=32)
    assert all(len(answer.tokens) <= 32 for answer in (*own, *drafted))
    assert scorer.nats(QUESTIONS, own) < scorer.nats(QUESTIONS, drafted)


def test_suites_are_read_from_their_files() -> None:
    assert len(evaluate.everyday(20)) == 20
    assert all(question.fact is not None for question in evaluate.fact_questions(20))
    tasks = evaluate.task_questions(1)
    assert {question.suite for question in tasks} == {"one", "many"}
    assert all(question.accepts(question.example.answer) for question in tasks if question.example)


def test_what_is_exported_is_the_checkpoint_with_its_card(base: Base, tmp_path: Path) -> None:
    made = LowRank(base, torch.float32, rank=4, seed=1)
    drafter.save(made.difference(), tmp_path / "run")
    progress: dict[str, object] = {"rank": 4, "seed": 1, "steps": 2, "total_steps": 2}
    progress |= {"tokens_per_step": 64, "device": "cpu"}
    progress |= {"ce_draft": 3.0, "ce_active": 2.0, "accuracy_active": 0.5}
    (tmp_path / "run" / "progress.json").write_text(json.dumps(progress))
    row = {"n": 2, "length": 5, "per_forward": 1.5, "ended": 100, "repeated": 0, "right": 50}
    (tmp_path / "results.json").write_text(
        json.dumps({"canvas": 128, "rules": {"k1": {"one": row}}})
    )
    export.export(tmp_path / "run", tmp_path / "results.json", tmp_path / "shipped")
    assert "| k1 | one | 2 | 50 |" in (tmp_path / "shipped" / "README.md").read_text()
    assert drafter.read(tmp_path / "shipped").keys() == made.difference().keys()


def test_a_difference_too_large_is_not_exported(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LARGEST_SUM", 1000)
    drafter.save(LowRank(base, torch.float32, rank=4, seed=1).difference(), tmp_path)
    with pytest.raises(SystemExit, match="too large"):
        export.export(tmp_path, tmp_path / "none.json", tmp_path / "shipped")
