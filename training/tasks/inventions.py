"""Invent something under constraints: records, sums, letters, teams; a checker reads each."""

import json
from collections import Counter
from random import Random

from training.examples import Example, Group, Task
from training.lexicon import CATEGORIES, ITEMS, NAMES, pseudo_word
from training.phrasing import phrase
from training.tasks.sequences import listed

_SEVERAL = 2
_BY_LETTER: dict[str, list[str]] = {}
for _word in ITEMS:
    _BY_LETTER.setdefault(_word[0], []).append(_word)


def invent_record(rng: Random) -> Example:
    """Ask for JSON with a number from a range, one word of a list and a truth value."""
    kind = rng.choice(list(CATEGORIES))
    options = rng.sample(CATEGORIES[kind], 3)
    low = rng.randint(0, 80)
    high = low + rng.randint(3, 40)
    key = rng.choice(("price", "size", "count", "level", "weight"))
    asks = (
        "Invent a JSON record with {k} from {a} to {b}, kind (one of {x}) and new (true or false).",
        "Make up JSON: {k} between {a} and {b}, kind one of {x}, new true or false.",
        "Write a JSON object with {k} ({a} to {b}), kind ({x}) and new (true or false).",
    )

    def check(text: str) -> bool:
        found = _object(text, (key, "kind", "new"))
        return (
            found is not None
            and _is_whole(found[key])
            and low <= found[key] <= high
            and str(found["kind"]) in options
            and isinstance(found["new"], bool)
        )

    facts = {key: rng.randint(low, high), "kind": rng.choice(options), "new": rng.random() < 0.5}
    shown = " or ".join((", ".join(options[:2]), options[2]))
    prompt = phrase(rng, asks, k=key, a=low, b=high, x=shown)
    return Example(prompt, json.dumps(facts), f"{key}/{low}/{high}/{shown}", check)


def invent_bill(rng: Random) -> Example:
    """Ask for JSON whose last number is the sum of the others, all of them free."""
    first, second = rng.sample(CATEGORIES["fruits"] + CATEGORIES["tools"], 2)
    most = rng.choice((20, 30, 50))
    asks = (
        "Invent prices up to {m} for {a} and {b} as JSON, with their total.",
        "Make up a JSON bill: {a} and {b} cost up to {m} each, then the total.",
        "Write JSON with a price for {a}, a price for {b} (both up to {m}) and the total.",
    )

    def check(text: str) -> bool:
        found = _object(text, (first, second, "total"))
        if found is None or not all(_is_whole(value) for value in found.values()):
            return False
        parts = found[first], found[second]
        return all(0 < part <= most for part in parts) and sum(parts) == found["total"]

    one, other = rng.randint(1, most), rng.randint(1, most)
    answer = json.dumps({first: one, second: other, "total": one + other})
    prompt = phrase(rng, asks, m=most, a=first, b=second)
    return Example(prompt, answer, f"{first}/{second}/{most}", check)


def json_numbers(rng: Random) -> Example:
    """Ask for different even or odd numbers from a range, as a JSON list."""
    count, low, odd = rng.randint(3, 6), rng.randint(0, 60), rng.randrange(2)
    high = low + rng.randint(14, 40)
    asks = ("Write a JSON list of {k} different {p} numbers from {a} to {b}.",
            "JSON list: any {k} different {p} numbers between {a} and {b}",
            "Give me {k} different {p} numbers from {a} to {b} as a JSON list.")  # fmt: skip
    allowed = [number for number in range(low, high + 1) if number % 2 == odd]

    def check(text: str) -> bool:
        try:
            found = json.loads(text)
        except ValueError:
            return False
        if not isinstance(found, list) or not all(map(_is_whole, found)):
            return False
        return len(found) == len(set(found)) == count and set(found) <= set(allowed)

    parity = "odd" if odd else "even"
    prompt = phrase(rng, asks, k=count, p=parity, a=low, b=high)
    answer = json.dumps(rng.sample(allowed, count))
    return Example(prompt, answer, f"{count}/{parity}/{low}/{high}", check)


def make_difference(rng: Random) -> Example:
    target, most = rng.randint(3, 80), rng.choice((99, 150, 200))
    asks = ("Write {t} as a difference of two numbers below {m}.",
            "Find two numbers below {m} whose difference is {t}.",
            "Make a subtraction that gives {t}, with numbers below {m}.")  # fmt: skip

    def check(text: str) -> bool:
        left, _, right = text.partition(" = ")
        terms = left.split(" - ")
        return (
            len(terms) == _SEVERAL
            and all(term.isdecimal() and str(int(term)) == term for term in terms)
            and int(terms[0]) - int(terms[1]) == target
            and int(terms[0]) < most
            and right == str(target)
        )

    smaller = rng.randint(1, most - target - 1)
    answer = f"{target + smaller} - {smaller} = {target}"
    return Example(phrase(rng, asks, t=target, m=most), answer, f"{target}/{most}", check)


def letters_free(rng: Random) -> Example:
    """Ask for letters that need not agree with one another: any mix is right."""
    count, (one, other) = rng.randint(5, 9), rng.sample("abcdefghkmnpqrstvxyz", 2)
    asks = ("Write {n} letters, each {a} or {b}, with spaces between them.",
            "Write a random line of {n} letters, each {a} or {b}.",
            "{n} letters, every one {a} or {b}, as you like.")  # fmt: skip

    def check(text: str) -> bool:
        found = text.split(" ")
        return len(found) == count and set(found) <= {one, other}

    answer = " ".join(rng.choices((one, other), k=count))
    prompt = phrase(rng, asks, n=count, a=one, b=other)
    return Example(prompt, answer, f"{count}/{one}/{other}", check)


def letters_exactly(rng: Random) -> Example:
    """Ask for the same letters with one bound: so many of one kind, wherever they stand."""
    count, (one, other) = rng.randint(5, 9), rng.sample("abcdefghkmnpqrstvxyz", 2)
    ones = rng.randint(2, count - 2)
    asks = ("Write {n} letters, each {a} or {b}, with exactly {k} times {a}.",
            "Write a random line of {n} letters {a} and {b} that has {a} {k} times.",
            "{n} letters, every one {a} or {b}, {a} exactly {k} times.")  # fmt: skip

    def check(text: str) -> bool:
        return Counter(text.split(" ")) == Counter({one: ones, other: count - ones})

    letters = [one] * ones + [other] * (count - ones)
    rng.shuffle(letters)
    prompt = phrase(rng, asks, n=count, a=one, b=other, k=ones)
    return Example(prompt, " ".join(letters), f"{count}/{one}/{other}/{ones}", check)


def assign(rng: Random) -> Example:
    """Ask for a one-to-one match of people and things."""
    people = rng.sample(NAMES, rng.randint(3, 5))
    kind = rng.choice(("fruits", "colors", "tools", "instruments"))
    things = rng.sample(CATEGORIES[kind], len(people) + rng.randint(0, 2))
    asks = ("Give each of {x} a different one of these: {y}",
            "Each of {x} gets another one of {y}.",
            "Hand out {y} to {x}, never the same one twice.")  # fmt: skip

    def check(text: str) -> bool:
        pairs = [part.split(": ") for part in text.split(", ")]
        if any(len(pair) != _SEVERAL for pair in pairs):
            return False
        given = [thing for _, thing in pairs]
        named = [who for who, _ in pairs] == people
        return named and len(given) == len(set(given)) and set(given) <= set(things)

    given = zip(people, rng.sample(things, len(people)), strict=True)
    prompt = phrase(rng, asks, x=listed(people), y=listed(things))
    answer = ", ".join(f"{who}: {thing}" for who, thing in given)
    return Example(prompt, answer, f"{listed(people)}/{listed(things)}", check)


def teams(rng: Random) -> Example:
    """Ask for two teams of the same size, one per line."""
    size = rng.randint(2, 4)
    people = rng.sample(NAMES, 2 * size)
    asks = ("Split into two teams of {k}, one per line: {x}",
            "Make two teams of {k} from {x}. Write one team per line.",
            "Two teams of {k}, one on each line: {x}")  # fmt: skip

    def check(text: str) -> bool:
        found = [line.split(", ") for line in text.split("\n")]
        even = [len(team) for team in found] == [size, size]
        return even and Counter(name for team in found for name in team) == Counter(people)

    mixed = rng.sample(people, len(people))
    answer = f"{listed(mixed[:size])}\n{listed(mixed[size:])}"
    return Example(phrase(rng, asks, k=size, x=listed(people)), answer, listed(people), check)


def acrostic(rng: Random) -> Example:
    """Ask for different words that begin with given letters."""
    letters = list(rng.choice(ITEMS) if rng.random() < 0.5 else pseudo_word(rng, 3, 6))
    counts = Counter(letters)
    letters = [
        letter if counts[letter] <= len(_BY_LETTER.get(letter, ())) else rng.choice("bcpst")
        for letter in letters
    ]
    text = "".join(letters)
    asks = ('Write {n} different words whose first letters spell "{x}".',
            'Find words that start with the letters of "{x}", all different.',
            'Make an acrostic of "{x}": one word for each letter, no word twice.')  # fmt: skip

    def check(answer: str) -> bool:
        words = answer.split(", ")
        real = all(len(word) > 2 and word.isalpha() and word.islower() for word in words)
        spelled = "".join(word[0] for word in words if word) == text
        return real and spelled and len(words) == len(set(words))

    left = {letter: rng.sample(words, len(words)) for letter, words in sorted(_BY_LETTER.items())}
    answer = listed([left[letter].pop() for letter in letters])
    return Example(phrase(rng, asks, n=len(letters), x=text), answer, text, check)


def _object(text: str, keys: tuple[str, ...]) -> dict[str, int] | None:
    """Read a JSON object that has exactly these keys in this order."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and tuple(found) == keys else None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TASKS = tuple(
    Task(make.__name__, make, weight, Group.MANY)
    for make, weight in (
        (invent_record, 1.5),
        (invent_bill, 2.0),
        (json_numbers, 2.0),
        (make_difference, 2.0),
        (letters_free, 0.7),
        (letters_exactly, 2.0),
        (assign, 2.5),
        (teams, 2.5),
        (acrostic, 2.5),
    )
)
