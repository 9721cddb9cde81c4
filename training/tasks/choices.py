"""Tasks with many right answers: parallel decoding errs here first, since choices must agree."""

# ruff: noqa: SIM905 - word lists read best as text

import json
from collections import Counter
from itertools import pairwise
from random import Random

from training.examples import Checker, Example, Group, Task
from training.lexicon import CATEGORIES, CITIES, ITEMS, NAMES, pseudo_word
from training.phrasing import phrase
from training.tasks.grids import invent
from training.tasks.sequences import listed, mixed

_VERBS = tuple("sees likes buys finds paints draws sells wants hides brings".split())
_SIZES = tuple("big small old new".split())
_PLACES = tuple("in the garden|at the market|near the river|in the kitchen|on the hill".split("|"))


def _same_items(items: list[str]) -> Checker:
    return lambda text: Counter(text.split(", ")) == Counter(items)


def shuffle(rng: Random) -> Example:
    items = mixed(rng, 4, 8)
    answer = rng.sample(items, len(items))
    asks = ("Shuffle this list: {x}", "Shuffle: {x}", "Put {x} in random order.",
            "Mix up this list: {x}", "Randomly reorder: {x}")  # fmt: skip
    return Example(
        phrase(rng, asks, x=listed(items)), listed(answer), listed(items), _same_items(items)
    )


def pick(rng: Random) -> Example:
    """Ask for some of the items, in any order, none twice."""
    items = mixed(rng, 5, 9)
    count = rng.randint(2, len(items) - 2)
    asks = ("Pick {k} of these: {x}", "Pick {k} items at random from {x}.", "Choose {k} of {x}.",
            "Pick any {k}: {x}")  # fmt: skip

    def check(text: str) -> bool:
        chosen = text.split(", ")
        return len(chosen) == len(set(chosen)) == count and set(chosen) <= set(items)

    prompt = phrase(rng, asks, k=count, x=listed(items))
    return Example(prompt, listed(rng.sample(items, count)), listed(items), check)


def anagram(rng: Random) -> Example:
    letters = pseudo_word(rng, 4, 8)
    answer = "".join(rng.sample(letters, len(letters)))
    asks = ('Scramble the letters of "{x}".', 'Mix the letters of "{x}".',
            'Make an anagram of "{x}".', 'Shuffle the letters "{x}"')  # fmt: skip

    def check(text: str) -> bool:
        return Counter(text) == Counter(letters)

    return Example(phrase(rng, asks, x=letters), answer, letters, check)


def permutation(rng: Random) -> Example:
    """Ask for the numbers 1 to n in any order that starts with a given one."""
    n = rng.randint(4, 9)
    first = rng.randint(1, n)
    rest = [str(k) for k in range(1, n + 1) if k != first]
    asks = ("Write the numbers 1 to {n} in random order, starting with {f}.",
            "Give me a random order of 1 to {n} that starts with {f}.")  # fmt: skip
    rng.shuffle(rest)

    def check(text: str) -> bool:
        chosen = text.split(", ")
        return chosen[0] == str(first) and Counter(chosen[1:]) == Counter(rest)

    answer = listed([str(first), *rest])
    return Example(phrase(rng, asks, n=n, f=first), answer, "", check)


def make_sum(rng: Random) -> Example:
    total, parts = rng.randint(12, 199), rng.choice((2, 2, 3))
    cuts = sorted(rng.sample(range(1, total), parts - 1))
    terms = [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
    asks = ("Write {t} as a sum of {p} numbers.", "Make a sum of {p} numbers that gives {t}.",
            "Find {p} numbers that add up to {t}.")  # fmt: skip

    def check(text: str) -> bool:
        left, _, right = text.partition(" = ")
        found = left.split(" + ")
        return (
            len(found) == parts
            and all(term.isdecimal() and str(int(term)) == term for term in found)
            and sum(map(int, found)) == total
            and right == str(total)
        )

    answer = " + ".join(map(str, terms)) + f" = {total}"
    return Example(phrase(rng, asks, t=total, p=parts), answer, f"{total}/{parts}", check)


def name_some(rng: Random) -> Example:
    """Ask for different members of a category, one of them excluded."""
    kind = rng.choice(list(CATEGORIES))
    members = CATEGORIES[kind]
    count = rng.randint(2, 5)
    barred = rng.choice(members)
    asks = ("Name {n} {k}, but not {b}.", "Name {n} {k} other than {b}.",
            "Tell me {n} {k} except {b}.", "List {n} {k} without {b}.")  # fmt: skip
    allowed = [member for member in members if member != barred]

    def check(text: str) -> bool:
        chosen = text.split(", ")
        return len(chosen) == len(set(chosen)) == count and set(chosen) <= set(allowed)

    prompt = phrase(rng, asks, n=count, k=kind, b=barred)
    content = f"{count}/{barred}"
    return Example(prompt, listed(rng.sample(allowed, count)), content, check)


def sentence(rng: Random) -> Example:
    """Ask for any sentence of the known shape that uses two given words."""
    name, item = rng.choice(NAMES), rng.choice(ITEMS)
    size, verb, place = rng.choice(_SIZES), rng.choice(_VERBS), rng.choice(_PLACES)
    asks = ("Write a sentence with {n} and {i}.", "Make a sentence using {n} and {i}.",
            "Write a sentence about {n} and a {i}.", "Use {n} and {i} in a sentence.")  # fmt: skip

    def check(text: str) -> bool:
        for place in _PLACES:
            words = text.removesuffix(f" {place}.").split(" ")
            if len(words) == 5 and text.endswith(f" {place}."):
                who, does, the, how, what = words
                known = does in _VERBS and the == "the" and how in _SIZES
                return known and who == name and what == item
        return False

    answer = f"{name} {verb} the {size} {item} {place}."
    return Example(phrase(rng, asks, n=name, i=item), answer, f"{name}/{item}", check)


def invent_person(rng: Random) -> Example:
    name = rng.choice(NAMES) if rng.random() < 0.6 else pseudo_word(rng, 3, 6).capitalize()
    low = rng.randint(10, 70)
    high = low + rng.randint(5, 20)
    asks = ("Invent a JSON record for {n} with age between {a} and {b} and a city.",
            "Make up JSON for {n}: age from {a} to {b}, some city.")  # fmt: skip

    def check(text: str) -> bool:
        try:
            found = json.loads(text)
        except ValueError:
            return False
        if not isinstance(found, dict) or list(found) != ["name", "age", "city"]:
            return False
        age = found["age"]
        fits = isinstance(age, int) and low <= age <= high
        return fits and found["name"] == name and found["city"] in CITIES

    facts = {"name": name, "age": rng.randint(low, high), "city": rng.choice(CITIES)}
    prompt = phrase(rng, asks, n=name, a=low, b=high)
    return Example(prompt, json.dumps(facts), f"{name}/{low}/{high}", check)


def between(rng: Random) -> Example:
    """Ask for different numbers from a range, in rising order."""
    low, count = rng.randint(0, 80), rng.randint(2, 5)
    high = low + rng.randint(8, 40)
    asks = ("Give me {k} numbers between {a} and {b} in order.",
            "Write {k} different numbers from {a} to {b}, smallest first.",
            "Pick {k} numbers from {a} to {b}, in ascending order.")  # fmt: skip

    def check(text: str) -> bool:
        parts = text.split(", ")
        if len(parts) != count or not all(p.isdecimal() and str(int(p)) == p for p in parts):
            return False
        found = [int(part) for part in parts]
        rising = all(a < b for a, b in pairwise(found))
        return rising and low <= found[0] and found[-1] <= high

    answer = listed([str(n) for n in sorted(rng.sample(range(low, high + 1), count))])
    prompt = phrase(rng, asks, k=count, a=low, b=high)
    return Example(prompt, answer, f"{count}/{low}/{high}", check)


TASKS = (
    Task("shuffle", shuffle, 4.0, Group.MANY),
    Task("pick", pick, 3.0, Group.MANY),
    Task("anagram", anagram, 3.0, Group.MANY),
    Task("permutation", permutation, 2.0, Group.MANY),
    Task("make_sum", make_sum, 3.5, Group.MANY),
    Task("name_some", name_some, 3.5, Group.MANY),
    Task("sentence", sentence, 1.5, Group.MANY),
    Task("invent_person", invent_person, 1.5, Group.MANY),
    Task("between", between, 2.5, Group.MANY),
    Task("invent_sudoku", invent, 1.5, Group.MANY),
)
