"""What the writer asks for, and which answers it keeps."""

import pytest
from tokenizers import Tokenizer

from training.smol import exact
from training.smol.conversations import Kind
from training.smol.data import Label, Writer
from training.smol.facts import Fact
from training.smol.sampler import GREEDY, Job, Written
from training.smol.vocabulary import END, chat


@pytest.fixture
def writer(tokenizer: Tokenizer) -> Writer:
    return Writer(tokenizer, seed=1)


def written(
    writer: Writer, user: str, answer: str, fact: Fact | None = None, ended: bool = True
) -> Written:
    prompt = writer.ids(chat([(user, "")]))
    label = Label(Kind.TEXT if fact is None else Kind.FACT, fact)
    job = Job(prompt, False, label=label)
    return Written(job, [*prompt, *writer.ids(answer), *([END] * ended)], len(prompt), ended)


def test_jobs_are_facts_questions_and_open_turns(writer: Writer, tokenizer: Tokenizer) -> None:
    jobs = [writer.job() for _ in range(400)]
    texts = [tokenizer.decode(job.given, skip_special_tokens=False) for job in jobs]
    assert {job.asks for job in jobs} == {True, False}
    for job, text in zip(jobs, texts, strict=True):
        assert job.asks != text.endswith("<|im_start|>assistant\n")
        seen = tokenizer.decode(job.given[job.hidden :], skip_special_tokens=False)
        assert seen.startswith("<|im_start|>")
    assert any(job.taste == GREEDY for job in jobs)
    assert any(job.hidden for job in jobs)


def test_a_good_answer_is_kept_once(writer: Writer) -> None:
    good = written(writer, "What is tea?", "A drink that is made of leaves.")
    writer.take(good)
    writer.take(good)
    assert len(writer.rows) == 1
    tokens, start, kind = writer.rows[0]
    assert tokens == good.tokens
    assert start == good.start
    assert kind is Kind.TEXT
    assert writer.refused == {"same": 1}


@pytest.mark.parametrize(
    ("user", "answer", "ended", "reason"),
    [
        ("What is tea?", "A drink that is made of", False, "endless"),
        ("What is the capital of France?", "It is Paris.", True, "suite"),
        ("What is tea?", "tea and tea and tea and tea and tea and tea", True, "poor"),
    ],
)
def test_a_poor_answer_is_refused(
    writer: Writer, user: str, answer: str, ended: bool, reason: str
) -> None:
    writer.kept_out = frozenset({"what is the capital of france"})
    writer.take(written(writer, user, answer, ended=ended))
    assert writer.refused == {reason: 1}
    assert not writer.rows


def test_a_wrong_fact_is_refused(writer: Writer) -> None:
    fact = Fact("Capital of Peru?", ("Lima",))
    writer.take(written(writer, fact.question, "It is Quito.", fact))
    writer.take(written(writer, fact.question, "It is Lima.", fact))
    assert len(writer.rows) == 1
    assert writer.refused == {"wrong": 1}


def test_a_user_who_asks_on_stands_behind_the_answer(writer: Writer, tokenizer: Tokenizer) -> None:
    first = written(writer, "What is tea?", "A drink made of leaves.")
    jobs = [job for job in (writer.next_turn(first) for _ in range(200)) if job is not None]
    assert 5 < len(jobs) < 80
    for job in jobs:
        assert job.given[: len(first.tokens)] == first.tokens
        text = tokenizer.decode(job.given, skip_special_tokens=False)
        assert text.count("<|im_start|>user\n") == 2


def test_tasks_end_with_their_right_answer(tokenizer: Tokenizer) -> None:
    found = exact.draw(tokenizer, seed=1, count=30, workers=1)
    assert len(found) == 30
    for at in range(30):
        row = found.row(at).tolist()
        assert row[-1] == END
        assert tokenizer.decode(row[: found.starts[at]], skip_special_tokens=False).endswith(
            "<|im_start|>assistant\n"
        )
