"""Prompts for the built-in model, drawn from contents that its training never saw."""

from dataclasses import dataclass
from random import Random

from training.examples import Example, Group, Split
from training.tasks.registry import TASKS

SEED = 31_000


@dataclass(frozen=True, slots=True)
class Case:
    """A held-out example under the name of its task; `unique` when one text alone is right."""

    task: str
    example: Example
    unique: bool

    @property
    def messages(self) -> list[dict[str, str]]:
        turns = []
        if self.example.system:
            turns.append({"role": "system", "content": self.example.system})
        for turn in self.example.history:
            turns.append({"role": "user", "content": turn.user})
            turns.append({"role": "assistant", "content": turn.assistant})
        return [*turns, {"role": "user", "content": self.example.prompt}]


def held_out(per_task: int, seed: int = SEED) -> list[Case]:
    """`per_task` examples of every task, shuffled; the same for the same seed."""
    cases = []
    for name, task in TASKS.items():
        rng = Random(f"{seed}/{name}")
        cases += [
            Case(name, task.draw(rng, Split.HELD_OUT), task.group is Group.ONE)
            for _ in range(per_task)
        ]
    Random(seed).shuffle(cases)
    return cases


def single_turns(count: int, seed: int = SEED) -> list[str]:
    """`count` prompts that need no earlier turns, over all tasks."""
    cases = held_out(-(-count // len(TASKS)) + 1, seed)
    plain = [c.example.prompt for c in cases if not (c.example.history or c.example.system)]
    return plain[:count]
