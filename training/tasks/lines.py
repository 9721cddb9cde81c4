"""People waiting in line: orders that fix the answer, and their twins that leave it open.

Twins look alike and ask for as many words. The open ones need choices that agree with one another,
which is where parallel decoding errs (the finding of ParallelBench, arXiv 2510.04767). All share
their held-out contents: a line that one of them holds out is never trained on by any.
"""

from collections import Counter
from itertools import pairwise
from random import Random

from training.examples import Example, Group, Task
from training.lexicon import NAMES, pseudo_word
from training.phrasing import phrase
from training.tasks.sequences import listed

FAMILY = "line"
PAIRS = (
    ("line_copy", "line_shuffle"),
    ("line_reverse", "line_shuffle"),
    ("line_sort", "line_shuffle"),
    ("line_replace", "line_replace_any"),
    ("line_remove", "line_remove_any"),
    ("line_insert", "line_insert_any"),
    ("line_swap", "line_swap_any"),
    ("line_first", "line_pick"),
)
_SHOWN = ("A line of people: {x}. ", "People in line: {x}. ", "Waiting in line: {x}. ",
          "The queue is {x}. ")  # fmt: skip


def _people(rng: Random, low: int = 4, high: int = 8) -> list[str]:
    """Return different names; for a fifth of the lines nobody ever had them."""
    count = rng.randint(low, high)
    if rng.random() < 0.8:
        return rng.sample(NAMES, count)
    made_up: dict[str, None] = {}
    while len(made_up) < count:
        made_up[pseudo_word(rng, 3, 6).capitalize()] = None
    return list(made_up)


def _newcomer(rng: Random, people: list[str]) -> str:
    return rng.choice([name for name in NAMES if name not in people])


def _ask(rng: Random, people: list[str], orders: tuple[str, ...], **slots: object) -> str:
    templates = tuple(shown + order for shown in _SHOWN for order in orders)
    return phrase(rng, templates, x=listed(people), **slots)


def copy(rng: Random) -> Example:
    people = _people(rng)
    orders = ("Write the line as it is.", "Repeat the line.", "List them in the same order.",
              "Copy the line.")  # fmt: skip
    return Example(_ask(rng, people, orders), listed(people), listed(people))


def reverse(rng: Random) -> Example:
    people = _people(rng)
    orders = ("Reverse the line.", "Write the line from last to first.",
              "List them in reverse order.", "Turn the line around.")  # fmt: skip
    return Example(_ask(rng, people, orders), listed(people[::-1]), listed(people))


def sort(rng: Random) -> Example:
    people = _people(rng)
    orders = ("Sort the line by name.", "List them in alphabetical order.",
              "Sort them alphabetically.", "Order the line from a to z.")  # fmt: skip
    return Example(_ask(rng, people, orders), listed(sorted(people)), listed(people))


def shuffle(rng: Random) -> Example:
    """Ask for any other order; the one shown is no shuffle."""
    people = _people(rng)
    answer = rng.sample(people, len(people))
    if answer == people:
        answer = people[1:] + people[:1]
    orders = ("Shuffle the line.", "List them in random order.", "Write the line in another order.",
              "Mix up the line.")  # fmt: skip

    def check(text: str) -> bool:
        found = text.split(", ")
        return Counter(found) == Counter(people) and found != people

    return Example(_ask(rng, people, orders), listed(answer), listed(people), check)


def replace(rng: Random) -> Example:
    people = _people(rng)
    new, spot = _newcomer(rng, people), rng.randrange(len(people))
    orders = ("Replace {o} with {n}.", "{n} takes the place of {o}.", "Put {n} where {o} is.")
    answer = listed([*people[:spot], new, *people[spot + 1 :]])
    return Example(_ask(rng, people, orders, o=people[spot], n=new), answer, listed(people))


def replace_any(rng: Random) -> Example:
    people = _people(rng)
    new, spot = _newcomer(rng, people), rng.randrange(len(people))
    orders = ("Replace anyone with {n}.", "{n} takes the place of any one of them.",
              "Replace one person, whoever you like, with {n}.",
              "Replace someone at random with {n}.")  # fmt: skip
    answer = [*people[:spot], new, *people[spot + 1 :]]

    def check(text: str) -> bool:
        found = text.split(", ")
        return _differences(found, people) == 1 and new in found

    return Example(_ask(rng, people, orders, n=new), listed(answer), listed(people), check)


def remove(rng: Random) -> Example:
    people = _people(rng)
    spot = rng.randrange(len(people))
    orders = ("{o} leaves the line.", "Remove {o}.", "Write the line without {o}.")
    answer = listed(people[:spot] + people[spot + 1 :])
    return Example(_ask(rng, people, orders, o=people[spot]), answer, listed(people))


def remove_any(rng: Random) -> Example:
    people = _people(rng)
    spot = rng.randrange(len(people))
    orders = ("Any one of them leaves the line.", "Remove anyone.", "Remove someone at random.",
              "Write the line without one person, whoever you like.")  # fmt: skip
    answer = people[:spot] + people[spot + 1 :]

    def check(text: str) -> bool:
        found = text.split(", ")
        return any(found == people[:at] + people[at + 1 :] for at in range(len(people)))

    return Example(_ask(rng, people, orders), listed(answer), listed(people), check)


def insert(rng: Random) -> Example:
    people = _people(rng)
    new, spot = _newcomer(rng, people), rng.randrange(len(people))
    orders = ("{n} joins right after {o}.", "Put {n} after {o}.", "Insert {n} right behind {o}.")
    answer = listed([*people[: spot + 1], new, *people[spot + 1 :]])
    return Example(_ask(rng, people, orders, o=people[spot], n=new), answer, listed(people))


def insert_any(rng: Random) -> Example:
    people = _people(rng)
    new, spot = _newcomer(rng, people), rng.randint(0, len(people))
    orders = ("{n} joins anywhere.", "Put {n} at any place.", "Insert {n} at a random place.",
              "{n} joins wherever you like.")  # fmt: skip
    answer = [*people[:spot], new, *people[spot:]]

    def check(text: str) -> bool:
        found = text.split(", ")
        return found.count(new) == 1 and [name for name in found if name != new] == people

    return Example(_ask(rng, people, orders, n=new), listed(answer), listed(people), check)


def swap(rng: Random) -> Example:
    people = _people(rng)
    one, other = rng.sample(range(len(people)), 2)
    orders = ("{a} and {b} change places.", "Swap {a} and {b}.", "Swap {a} with {b}.")
    prompt = _ask(rng, people, orders, a=people[one], b=people[other])
    return Example(prompt, listed(_swapped(people, one, other)), listed(people))


def swap_any(rng: Random) -> Example:
    people = _people(rng)
    one, other = rng.sample(range(len(people)), 2)
    orders = ("Any two of them change places.", "Swap two of them.", "Swap any two people.",
              "Swap two people at random.")  # fmt: skip

    def check(text: str) -> bool:
        found = text.split(", ")
        return Counter(found) == Counter(people) and _differences(found, people) == 2

    answer = listed(_swapped(people, one, other))
    return Example(_ask(rng, people, orders), answer, listed(people), check)


def first(rng: Random) -> Example:
    people = _people(rng)
    count = rng.randint(2, len(people) - 1)
    orders = ("Who are the first {k}?", "List the first {k} of them.", "Name the first {k}.")
    return Example(_ask(rng, people, orders, k=count), listed(people[:count]), listed(people))


def pick(rng: Random) -> Example:
    """Ask for some of them as they stand, which only a choice that agrees with itself can do."""
    people = _people(rng)
    count = rng.randint(2, len(people) - 1)
    orders = ("Pick any {k} of them, in the order of the line.",
              "Choose {k} at random and keep their order.",
              "Name any {k} of them in the order they stand.")  # fmt: skip
    chosen = sorted(rng.sample(range(len(people)), count))

    def check(text: str) -> bool:
        found = text.split(", ")
        if len(found) != count or not set(found) <= set(people):
            return False
        return all(people.index(a) < people.index(b) for a, b in pairwise(found))

    answer = listed([people[at] for at in chosen])
    return Example(_ask(rng, people, orders, k=count), answer, listed(people), check)


def _differences(found: list[str], people: list[str]) -> int:
    """Count the places that differ; lines of other lengths differ everywhere."""
    if len(found) != len(people):
        return len(people)
    return sum(a != b for a, b in zip(found, people, strict=True))


def _swapped(people: list[str], one: int, other: int) -> list[str]:
    changed = list(people)
    changed[one], changed[other] = people[other], people[one]
    return changed


TASKS = (
    *(
        Task(f"line_{make.__name__}", make, 1.0, Group.ONE, FAMILY)
        for make in (copy, reverse, sort, replace, remove, insert, swap, first)
    ),
    Task("line_shuffle", shuffle, 2.0, Group.MANY, FAMILY),
    *(
        Task(f"line_{make.__name__}", make, 1.0, Group.MANY, FAMILY)
        for make in (replace_any, remove_any, insert_any, swap_any, pick)
    ),
)
