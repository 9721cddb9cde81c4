"""The suites: what is asked, and how an answer to it is judged.

`everyday` and `facts` are committed texts. The others are drawn from contents that training holds
out, the same for the same seed: `one` right text, `many` right ones, and the twins of the parallel
pairs, whose orders look alike and fix the answer or leave it open.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import TypeVar

from benchmarks.prompts import SEED, Case
from benchmarks.quality_facts import holds_fact
from training.examples import Group, Split, Task
from training.tasks.registry import TASKS
from training.tasks.wide import PAIRS, WIDE_TASKS

FOLDER = Path(__file__).with_name("suites")
SHORT = "short"  # the everyday questions that ask for a short answer

_Any = TypeVar("_Any")


class Suite(StrEnum):
    """A set of questions that is scored as one."""

    EVERYDAY = "everyday"  # what a newcomer asks; judged by a base model, not by a checker
    FACTS = "facts"  # one fact each
    ONE = "one"  # exact tasks: one text is right
    MANY = "many"  # exact tasks: many texts are right
    PAIRS_FIXED = "pairs_fixed"  # the twins whose order fixes the answer
    PAIRS_OPEN = "pairs_open"  # the twins whose order leaves it open


MAX_TOKENS = {
    Suite.EVERYDAY: 128,
    Suite.FACTS: 48,
    Suite.ONE: 96,
    Suite.MANY: 96,
    Suite.PAIRS_FIXED: 96,
    Suite.PAIRS_OPEN: 96,
}


@dataclass(frozen=True, slots=True)
class Question:
    """A conversation to answer; `kind` names its task or topic. No judge: nothing to check."""

    kind: str
    messages: Sequence[Mapping[str, str]]
    judge: Callable[[str], bool] | None = None


def load_suite(suite: Suite, count: int, *, wide: bool) -> list[Question]:
    """`count` questions spread over the suite; `wide` draws on the English model's tasks."""
    if suite is Suite.EVERYDAY:
        return _spread(list(_everyday()), count)
    if suite is Suite.FACTS:
        return _spread(list(_facts()), count)
    tasks = _tasks_of(suite, WIDE_TASKS if wide else TASKS)
    return list(_drawn(_spread(tasks, min(count, len(tasks))), count))


def _everyday() -> Iterator[Question]:
    kind = ""
    for line in (FOLDER / "everyday.txt").read_text().splitlines():
        if line.startswith("# "):
            kind = line[2:].partition(":")[0]
        else:
            yield Question(kind, _asked(line))


def _facts() -> Iterator[Question]:
    for line in (FOLDER / "facts.tsv").read_text().splitlines():
        kind, question, answers = line.split("\t")
        yield Question(kind, _asked(question), _fact_judge(answers.split("|")))


def _fact_judge(accepted: Sequence[str]) -> Callable[[str], bool]:
    return lambda text: holds_fact(text, accepted)


def _tasks_of(suite: Suite, tasks: Mapping[str, Task]) -> list[Task]:
    if suite is Suite.PAIRS_FIXED:
        return [WIDE_TASKS[name] for name in dict.fromkeys(fixed for fixed, _ in PAIRS)]
    if suite is Suite.PAIRS_OPEN:
        return [WIDE_TASKS[name] for name in dict.fromkeys(free for _, free in PAIRS)]
    group = Group.ONE if suite is Suite.ONE else Group.MANY
    return [task for task in tasks.values() if task.group is group]


def _drawn(tasks: Sequence[Task], count: int) -> Iterator[Question]:
    """Every task in turn, until there are enough."""
    sources = [(task, Random(f"{SEED}/{task.name}")) for task in tasks]
    for at in range(count):
        task, rng = sources[at % len(sources)]
        case = Case(task.name, task.draw(rng, Split.HELD_OUT), task.group is Group.ONE)
        yield Question(task.name, case.messages, _task_judge(case))


def _task_judge(case: Case) -> Callable[[str], bool]:
    return lambda text: case.example.accepts(text.strip())


def _asked(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def _spread(items: Sequence[_Any], count: int) -> list[_Any]:
    """Evenly spaced items, so that every kind has its part; all of them if there are no more."""
    if count >= len(items):
        return list(items)
    return [items[at * len(items) // count] for at in range(count)]
