"""Lists of numbers or words: order them, look something up, change them."""

from collections.abc import Callable
from random import Random

from training.examples import Example, Task
from training.lexicon import any_word, distinct_words
from training.phrasing import phrase

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def numbers(rng: Random, low: int, high: int, most: int = 99) -> list[str]:
    """Return between `low` and `high` different numbers up to `most`."""
    return [str(n) for n in rng.sample(range(most + 1), rng.randint(low, high))]


def mixed(rng: Random, low: int, high: int) -> list[str]:
    """Return a list of different words, or (two times in five) of different numbers."""
    if rng.random() < 0.4:
        return numbers(rng, low, high, rng.choice((max(9, high), 99, 99)))
    return distinct_words(rng, rng.randint(low, high))


def listed(items: list[str]) -> str:
    return ", ".join(items)


def _shown(rng: Random, items: list[str]) -> str:
    """Write a list the way people do: mostly with commas, sometimes without spaces or commas."""
    return rng.choices((", ", " ", ","), (0.82, 0.12, 0.06))[0].join(items)


def sort_numbers(rng: Random) -> Example:
    return _sorted(rng, numbers(rng, 3, 10, rng.choice((20, 99, 99, 999))))


def sort_long(rng: Random) -> Example:
    return _sorted(rng, numbers(rng, 11, 20))


def _sorted(rng: Random, items: list[str]) -> Example:
    down = rng.random() < 0.3
    if down:
        asks: tuple[str, ...] = (
            "Sort in descending order: {x}", "Sort from largest to smallest: {x}.",
            "Sort {x} in descending order.", "Sort these numbers from high to low: {x}.",
        )  # fmt: skip
    else:
        asks = (
            "Sort these numbers: {x}", "Sort: {x}", "Sort {x}", "Sort the numbers {x}.",
            "Put these numbers in order: {x}.", "Sort from smallest to largest: {x}",
            "Order these numbers: {x}", "Sort in ascending order: {x}.",
        )  # fmt: skip
    answer = listed(sorted(items, key=int, reverse=down))
    return Example(phrase(rng, asks, x=_shown(rng, items)), answer, listed(items))


def sort_words(rng: Random) -> Example:
    items = distinct_words(rng, rng.randint(3, 7))
    asks = ("Sort these words: {x}", "Sort alphabetically: {x}", "Sort the words {x}.",
            "Put these words in alphabetical order: {x}.", "Sort {x} alphabetically.",
            "Alphabetize: {x}", "Order these words from a to z: {x}")  # fmt: skip
    return Example(phrase(rng, asks, x=_shown(rng, items)), listed(sorted(items)), listed(items))


def reverse_list(rng: Random) -> Example:
    items = mixed(rng, 3, 8)
    asks = ("Reverse this list: {x}", "Reverse the list {x}.", "List in reverse order: {x}",
            "Write this list backwards: {x}.", "Turn this list around: {x}")  # fmt: skip
    return Example(phrase(rng, asks, x=listed(items)), listed(items[::-1]), listed(items))


def count_items(rng: Random) -> Example:
    items = mixed(rng, 2, 10)
    asks = ("How many items are in this list: {x}?", "Count the items: {x}.",
            "How many items: {x}", "How long is this list: {x}?")  # fmt: skip
    answer = f"There are {len(items)} items."
    return Example(phrase(rng, asks, x=listed(items)), answer, listed(items))


def extreme(rng: Random) -> Example:
    items = numbers(rng, 3, 8, rng.choice((99, 999)))
    if rng.random() < 0.5:
        asks: tuple[str, ...] = ("What is the largest of {x}?", "Find the maximum: {x}.",
                "Which number is the largest: {x}?", "Max of {x}")  # fmt: skip
        answer = f"The largest is {max(items, key=int)}."
    else:
        asks = ("What is the smallest of {x}?", "Find the minimum: {x}.",
                "Which number is the smallest: {x}?", "Min of {x}")  # fmt: skip
        answer = f"The smallest is {min(items, key=int)}."
    return Example(phrase(rng, asks, x=listed(items)), answer, listed(items))


def nth(rng: Random) -> Example:
    items = mixed(rng, 3, 6)
    spot = rng.randrange(len(items) + 1)
    name = "last" if spot == len(items) else ORDINALS[spot]
    asks = ("What is the {n} item of {x}?", "Which item is {n} in this list: {x}?",
            "Give me the {n} item: {x}.", "Name the {n} item in {x}.")  # fmt: skip
    chosen = items[min(spot, len(items) - 1)]
    prompt = phrase(rng, asks, n=name, x=listed(items))
    return Example(prompt, f"The {name} item is {chosen}.", listed(items))


def replace(rng: Random) -> Example:
    items = mixed(rng, 3, 7)
    old = rng.choice(items)
    new = str(rng.randint(0, 99)) if old.isdigit() else any_word(rng)
    asks = ("Replace {o} with {n} in this list: {x}", "In the list {x}, replace {o} with {n}.",
            "Replace {o} by {n}: {x}", "Change {o} to {n}: {x}")  # fmt: skip
    answer = listed([new if item == old else item for item in items])
    return Example(phrase(rng, asks, o=old, n=new, x=listed(items)), answer, listed(items))


def insert(rng: Random) -> Example:
    items = mixed(rng, 3, 7)
    new = str(rng.randint(0, 99)) if items[0].isdigit() else any_word(rng)
    after = rng.choice(items)
    asks = ("Insert {n} after {a} in this list: {x}", "In the list {x}, insert {n} after {a}.",
            "Put {n} after {a}: {x}", "Add {n} right after {a}: {x}")  # fmt: skip
    spot = items.index(after) + 1
    answer = listed([*items[:spot], new, *items[spot:]])
    return Example(phrase(rng, asks, n=new, a=after, x=listed(items)), answer, listed(items))


def remove(rng: Random) -> Example:
    items = mixed(rng, 3, 8)
    gone = rng.choice(items)
    asks = ("Remove {g} from this list: {x}", "In the list {x}, remove {g}.",
            "Delete {g}: {x}", "Take {g} out of this list: {x}.")  # fmt: skip
    answer = listed([item for item in items if item != gone])
    return Example(phrase(rng, asks, g=gone, x=listed(items)), answer, listed(items))


def dedup(rng: Random) -> Example:
    base = mixed(rng, 2, 5)
    items = base + rng.choices(base, k=rng.randint(1, 4))
    rng.shuffle(items)
    asks = ("Remove duplicates: {x}", "Remove the duplicates from this list: {x}.",
            "Deduplicate {x}.", "Keep each item once: {x}")  # fmt: skip
    return Example(
        phrase(rng, asks, x=listed(items)), listed(list(dict.fromkeys(items))), listed(items)
    )


def keep_numbers(rng: Random) -> Example:
    items = numbers(rng, 4, 9)
    limit = rng.randint(10, 90)
    keeps, templates = rng.choice(_KEEPS)
    kept = [item for item in items if keeps(int(item), limit)]
    prompt = phrase(rng, templates, m=limit, x=listed(items))
    return Example(prompt, listed(kept) if kept else "none", listed(items))


_KEEPS: tuple[tuple[Callable[[int, int], bool], tuple[str, ...]], ...] = (
    (lambda n, m: n > m, ("Keep numbers greater than {m}: {x}", "Which are above {m}: {x}?")),
    (lambda n, m: n < m, ("Keep numbers less than {m}: {x}", "Which are below {m}: {x}?")),
    (lambda n, m: n % 2 == 0, ("Keep the even numbers: {x}", "Which are even: {x}?")),
    (lambda n, m: n % 2 == 1, ("Keep the odd numbers: {x}", "Which are odd: {x}?")),
)


def ends(rng: Random) -> Example:
    items = mixed(rng, 4, 8)
    count = rng.randint(2, len(items) - 1)
    front = rng.random() < 0.5
    asks = ("Give me the {w} {n} items of {x}.", "Take the {w} {n} items: {x}",
            "What are the {w} {n} items of {x}?")  # fmt: skip
    prompt = phrase(rng, asks, w="first" if front else "last", n=count, x=listed(items))
    return Example(prompt, listed(items[:count] if front else items[-count:]), listed(items))


TASKS = (
    Task("sort_numbers", sort_numbers, 2.5),
    Task("sort_long", sort_long, 2.0),
    Task("sort_words", sort_words, 2.0),
    Task("reverse_list", reverse_list),
    Task("count_items", count_items),
    Task("extreme", extreme),
    Task("nth", nth),
    Task("replace", replace),
    Task("insert", insert),
    Task("remove", remove),
    Task("dedup", dedup),
    Task("keep_numbers", keep_numbers, 1.3),
    Task("ends", ends),
)
