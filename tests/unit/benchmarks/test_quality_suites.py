"""The committed questions are what they say they are, and no training task holds one of them."""

import re
from collections import Counter
from random import Random

import pytest

from benchmarks.quality_facts import fact_words, holds_fact
from benchmarks.quality_suites import FOLDER, SHORT, Question, Suite, load_suite
from training.examples import Group, Split, is_held_out
from training.tasks.registry import TASKS
from training.tasks.wide import PAIRS, WIDE_TASKS

LINES = (FOLDER / "facts.tsv").read_text().splitlines()
FACTS = [tuple(line.split("\t")) for line in LINES]
ASKED = {
    "facts": [fact[1] for fact in FACTS],
    "everyday": [_q.messages[0]["content"] for _q in load_suite(Suite.EVERYDAY, 999, wide=True)],
}
_SUM = re.compile(r"What is (\d+) (\+|plus|-|minus|\*|times) (\d+)\?")
_TASK_OF = {"+": "add", "plus": "add", "-": "sub", "minus": "sub", "*": "mul", "times": "mul"}


def asked(question: Question) -> str:
    return question.messages[-1]["content"]


def test_there_are_200_everyday_questions_and_300_facts() -> None:
    assert {name: len(questions) for name, questions in ASKED.items()} == {
        "everyday": 200,
        "facts": 300,
    }


def test_no_question_is_asked_twice() -> None:
    plain = Counter(" ".join(fact_words(q)) for questions in ASKED.values() for q in questions)
    assert [question for question, times in plain.items() if times > 1] == []


@pytest.mark.parametrize("name", ASKED)
def test_questions_are_tidy_lines(name: str) -> None:
    for question in ASKED[name]:
        assert question == question.strip()
        assert 4 <= len(question) <= 120
        assert question.isprintable()


def test_a_fact_is_a_kind_a_question_and_its_answers() -> None:
    for kind, question, answers in FACTS:
        assert kind in {"capital", "opposite", "simple", "sum"}
        assert question.endswith("?")
        assert all(fact_words(answer) for answer in answers.split("|"))


def test_no_fact_gives_its_own_answer_away() -> None:
    for _, question, answers in FACTS:
        assert not holds_fact(question, answers.split("|")), question


def test_everyday_questions_come_in_kinds_and_many_ask_for_short_answers() -> None:
    kinds = Counter(q.kind for q in load_suite(Suite.EVERYDAY, 999, wide=True))
    assert len(kinds) >= 5
    assert kinds[SHORT] >= 40


def test_sums_are_right_and_held_out_of_the_sums_that_are_trained_on() -> None:
    for kind, question, answer in FACTS:
        found = _SUM.fullmatch(question)
        assert (found is not None) == (kind == "sum")
        if found is None:
            continue
        a, b = int(found[1]), int(found[3])
        task = _TASK_OF[found[2]]
        result = {"add": a + b, "sub": a - b, "mul": a * b}[task]
        low, high = sorted((a, b))
        content = {"add": f"{low}+{high}", "sub": f"{a}-{b}", "mul": f"{a}*{b}"}[task]
        assert answer == str(result)
        assert is_held_out(task, content), question


def test_the_english_models_training_tasks_ask_none_of_the_committed_questions() -> None:
    committed = {_bare(q) for questions in ASKED.values() for q in questions}
    rng = Random(0)
    for task in WIDE_TASKS.values():
        for _ in range(150):
            prompt = task.draw(rng, Split.TRAIN).prompt
            assert _bare(prompt) not in committed, prompt


def _bare(prompt: str) -> str:
    return " ".join(prompt.lower().strip(" .?!").split())


@pytest.mark.parametrize("suite", Suite)
def test_the_same_questions_are_asked_every_time(suite: Suite) -> None:
    first, second = (load_suite(suite, 30, wide=True) for _ in range(2))
    assert [asked(q) for q in first] == [asked(q) for q in second]
    assert len(first) == 30


def test_exact_suites_ask_held_out_contents_of_their_group_only() -> None:
    for suite, group in ((Suite.ONE, Group.ONE), (Suite.MANY, Group.MANY)):
        for tasks, wide in ((TASKS, False), (WIDE_TASKS, True)):
            kinds = {q.kind for q in load_suite(suite, 80, wide=wide)}
            assert kinds == {name for name, task in tasks.items() if task.group is group}


def test_pairs_ask_the_twins_and_nothing_else() -> None:
    fixed = {q.kind for q in load_suite(Suite.PAIRS_FIXED, 40, wide=True)}
    free = {q.kind for q in load_suite(Suite.PAIRS_OPEN, 40, wide=True)}
    assert fixed == {one for one, _ in PAIRS}
    assert free == {many for _, many in PAIRS}


@pytest.mark.parametrize(
    ("text", "accepted", "holds"),
    [
        ("The capital of France is Paris.", ["Paris"], True),
        ("PARIS", ["Paris"], True),
        ("The capital of France is not Paris but Lyon.", ["Paris"], False),
        ("Parisians live there.", ["Paris"], False),
        ("It has eight legs.", ["8", "eight"], True),
        ("It has 18 legs.", ["8", "eight"], False),
        ("3 + 15 = 18", ["18"], True),
        ("About 18.5", ["18"], False),
        ("There are 1,000 grams.", ["1000"], True),
        ("Water is H₂O.", ["H2O"], True),
        ("Twenty-four hours.", ["twenty-four"], True),
        ("The capital is Bogotá.", ["Bogota"], True),
        ("It is New York City.", ["New York"], True),
        ("York is new.", ["New York"], False),
        (f"{'well ' * 60}Paris", ["Paris"], False),
        ("", ["Paris"], False),
    ],
)
def test_a_fact_is_found_early_whole_and_not_denied(
    text: str, accepted: list[str], *, holds: bool
) -> None:
    assert holds_fact(text, accepted) is holds
