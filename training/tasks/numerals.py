"""Numbers in words and in Roman letters, counting, times tables and the calendar."""

# ruff: noqa: SIM905 - word lists read best as text

from random import Random

from training.examples import Example, Task
from training.lexicon import CAPITALS, DAYS, MONTHS
from training.phrasing import phrase

_ONES = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen".split()
)
_TENS = tuple("twenty thirty forty fifty sixty seventy eighty ninety".split())
_ROMAN = (
    (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"),
    (1, "I"),
)  # fmt: skip


def in_words(n: int) -> str:
    """Write 0 to 9999 in English words."""
    if n >= 1000:
        rest = f" {in_words(n % 1000)}" if n % 1000 else ""
        return f"{in_words(n // 1000)} thousand{rest}"
    if n >= 100:
        rest = f" {in_words(n % 100)}" if n % 100 else ""
        return f"{in_words(n // 100)} hundred{rest}"
    if n >= 20:
        return _TENS[n // 10 - 2] + (f"-{_ONES[n % 10]}" if n % 10 else "")
    return _ONES[n]


def in_roman(n: int) -> str:
    """Write 1 to 399 in Roman numerals."""
    text = ""
    for value, letters in _ROMAN:
        text += letters * (n // value)
        n %= value
    return text


def _any_size(rng: Random) -> int:
    return rng.randint(*rng.choice(((0, 20), (0, 99), (100, 999), (1000, 9999))))


def _content(n: int) -> str:
    """Below 100 nothing is held out: those numbers are the words themselves."""
    return str(n) if n >= 100 else ""


def to_words(rng: Random) -> Example:
    n = _any_size(rng)
    asks = ("Write {n} in words.", "Write the number {n} in words", "{n} in words",
            "How do you write {n} in words?", "Spell out the number {n}.")  # fmt: skip
    return Example(phrase(rng, asks, n=n), in_words(n), _content(n))


def from_words(rng: Random) -> Example:
    n = _any_size(rng)
    asks = ("Write {w} in digits.", "Write {w} as a number.", "{w} in digits",
            "Which number is {w}?", "Convert to digits: {w}")  # fmt: skip
    return Example(phrase(rng, asks, w=in_words(n)), str(n), _content(n))


def to_roman(rng: Random) -> Example:
    n = rng.randint(1, 99) if rng.random() < 0.6 else rng.randint(100, 399)
    asks = ("Write {n} in Roman numerals.", "{n} in roman numerals",
            "What is {n} in Roman numerals?", "Convert {n} to Roman numerals.")  # fmt: skip
    return Example(phrase(rng, asks, n=n), in_roman(n), _content(n))


def count(rng: Random) -> Example:
    start, step = rng.randint(0, 99), rng.choice((1, 1, 1, 2, 2, 3, 5, 10))
    end = start + step * rng.randint(3, 25 if start + 25 * step < 100 else 20)
    if rng.random() < 0.25:
        start, end, step = end, start, -step
    numbers = list(range(start, end + (1 if step > 0 else -1), step))
    if abs(step) == 1:
        asks: tuple[str, ...] = ("Count from {a} to {b}.", "Count {a} to {b}",
                "List the numbers from {a} to {b}.")  # fmt: skip
    else:
        asks = ("Count from {a} to {b} in steps of {s}.", "Count by {s} from {a} to {b}.",
                "Count {a} to {b} in steps of {s}")  # fmt: skip
    prompt = phrase(rng, asks, a=start, b=end, s=abs(step))
    return Example(prompt, ", ".join(map(str, numbers)), f"{start}..{end}/{step}")


def times_table(rng: Random) -> Example:
    """Write the first lines of a times table; closed, since the tables are few."""
    n, lines = rng.randint(2, 12), rng.randint(3, 8)
    asks = ("Write the times table of {n} up to {m}.", "Times table of {n} up to {m}",
            "Show the {n} times table up to {m}.")  # fmt: skip
    answer = "\n".join(f"{n} * {k} = {n * k}" for k in range(1, lines + 1))
    return Example(phrase(rng, asks, n=n, m=lines), answer)


def calendar(rng: Random) -> Example:
    kind, names = rng.choice((("day", DAYS), ("month", MONTHS)))
    spot, after = rng.randrange(len(names)), rng.random() < 0.5
    word = "after" if after else "before"
    asks = ("Which {k} comes {w} {n}?", "What {k} is {w} {n}?", "What is the {k} {w} {n}?",
            "The {k} {w} {n}?")  # fmt: skip
    other = names[(spot + (1 if after else -1)) % len(names)]
    prompt = phrase(rng, asks, k=kind, w=word, n=names[spot])
    return Example(prompt, f"The {kind} {word} {names[spot]} is {other}.")


def days_later(rng: Random) -> Example:
    spot, later = rng.randrange(7), rng.randint(2, 30)
    asks = ("Today is {d}. Which day is it in {n} days?", "It is {d}. What day is {n} days later?",
            "If today is {d}, what day is it in {n} days?")  # fmt: skip
    weeks, days = divmod(later, 7)
    answer = f"{later} days are {weeks} weeks and {days} days. It is {DAYS[(spot + later) % 7]}."
    return Example(phrase(rng, asks, d=DAYS[spot], n=later), answer)


def capital(rng: Random) -> Example:
    country = rng.choice(list(CAPITALS))
    shown = country.lower() if rng.random() < 0.2 else country
    asks = ("What is the capital of {c}?", "Name the capital of {c}.", "capital of {c}",
            "Which city is the capital of {c}?", "What's the capital of {c}?",
            "Tell me the capital of {c}.")  # fmt: skip
    answer = f"The capital of {country} is {CAPITALS[country]}."
    return Example(phrase(rng, asks, c=shown), answer)


TASKS = (
    Task("number_to_words", to_words, 1.2),
    Task("words_to_number", from_words, 1.0),
    Task("roman", to_roman, 1.0),
    Task("count", count, 1.5),
    Task("times_table", times_table, 0.7),
    Task("calendar", calendar, 0.5),
    Task("days_later", days_later, 0.6),
    Task("capital", capital, 0.7),
)
