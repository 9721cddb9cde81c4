"""What a task is: it draws examples, and every example knows which answers are right."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

HELD_OUT_ONE_IN = 20

Checker = Callable[[str], bool]


class Group(StrEnum):
    """How a task is scored."""

    ONE = "one"  # exactly one text is right
    MANY = "many"  # many texts are right; a checker decides
    FOREIGN = "foreign"  # nothing this model was made for; the fixed reply is right


class Split(StrEnum):
    """Which contents may be drawn."""

    TRAIN = "train"  # every content but the held-out ones
    HELD_OUT = "held_out"  # contents that training never shows
    ANY = "any"  # tasks whose contents are too few to hold any out


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier exchange of a conversation."""

    user: str
    assistant: str


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt, one right answer, and the content that decides whether it is held out.

    An empty content means a closed set: everything in it is trained on.
    """

    prompt: str
    answer: str
    content: str = ""
    check: Checker | None = None
    history: tuple[Turn, ...] = ()
    system: str = ""

    def accepts(self, text: str) -> bool:
        """Whether `text` is a right answer."""
        return self.check(text) if self.check else text == self.answer


@dataclass(frozen=True, slots=True)
class Task:
    """A named source of examples; `weight` is its share of the training mix.

    Tasks of one `family` hold out the same contents; a task without one stands alone.
    """

    name: str
    make: Callable[[Random], Example]
    weight: float = 1.0
    group: Group = Group.ONE
    family: str = ""

    def draw(self, rng: Random, split: Split) -> Example:
        """Return an example whose content belongs to `split` (closed sets ignore it)."""
        while True:
            example = self.make(rng)
            if split is Split.ANY or not example.content:
                return example
            if is_held_out(self.family or self.name, example.content) == (split is Split.HELD_OUT):
                return example


def is_held_out(task: str, content: str) -> bool:
    """Whether training never shows this content: a fixed hash, the same for every seed."""
    return zlib.crc32(f"{task}/{content}".encode()) % HELD_OUT_ONE_IN == 0
