"""Prompts that the model was not made for: one fixed reply to all of them.

The sentences come from many shapes, with listed and made-up words in the gaps, so that the reply
is learned for "none of the tasks" and not for a list of topics.
"""

from random import Random

from training.examples import Example, Group, Task
from training.lexicon import CAPITALS, CITIES, ITEMS, JOBS, NAMES, pseudo_word
from training.phrasing import phrase
from training.tasks.foreign_words import (
    ADJECTIVES,
    CODE,
    COMMON,
    COUNTRIES,
    LANGUAGES,
    NOUNS,
    OTHER_LANGUAGES,
    SHAPES,
    VERBS,
)

REPLY = "I only know small tasks like sums, sorting, spelling and JSON. Try: What is 27 + 48?"


def _noun(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.62:
        noun = rng.choice(NOUNS)
    elif kind < 0.74:
        noun = rng.choice(ITEMS)
    elif kind < 0.9:
        noun = pseudo_word(rng, 4, 10)
    else:
        noun = rng.choice((*JOBS, *CITIES, *NAMES, *COUNTRIES))
    if rng.random() < 0.25:
        noun = f"{rng.choice(ADJECTIVES)} {noun}"
    return noun


def _verb(rng: Random) -> str:
    return rng.choice(VERBS) if rng.random() < 0.85 else pseudo_word(rng, 4, 8)


def _from_shape(rng: Random) -> str:
    return phrase(
        rng,
        SHAPES,
        a=_noun(rng),
        b=_noun(rng),
        c=_noun(rng),
        v=_verb(rng),
        w=_verb(rng),
        j=rng.choice(ADJECTIVES),
        n=rng.randint(2, 2000),
        l=rng.choice(LANGUAGES),
        p=rng.choice((*NAMES, *COUNTRIES)),
    )


def _soup(rng: Random) -> str:
    """Common words in no order, with the odd topic word: sentences no shape foresaw."""
    words = [
        rng.choice(COMMON) if rng.random() < 0.6 else rng.choice((_noun, _verb))(rng)
        for _ in range(rng.randint(3, 16))
    ]
    text = " ".join(words)
    if rng.random() < 0.6:
        text = text[:1].upper() + text[1:]
    return text + rng.choice(("", ".", "?", "!", "..."))


def _other_language(rng: Random) -> str:
    """Words of one language other than English, mostly in no order."""
    words = rng.choice(OTHER_LANGUAGES).split()
    start = rng.randrange(max(1, len(words) - 4))
    picked = (
        words[start : start + rng.randint(3, 10)]
        if rng.random() < 0.4
        else rng.choices(words, k=rng.randint(2, 10))
    )
    text = " ".join(picked)
    if rng.random() < 0.5:
        text = text[:1].upper() + text[1:]
    return text + rng.choice(("", ".", "?", "!"))


def _gibberish(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.5:
        return " ".join(pseudo_word(rng, 1, 12) for _ in range(rng.randint(1, 7)))
    if kind < 0.8:
        return "".join(
            rng.choices("asdfghjklqwertyuiop;,./!?#$%&@*()0123456789 ", k=rng.randint(3, 30))
        )
    return "".join(chr(rng.choice((rng.randint(0x400, 0x44F), rng.randint(0x4E00, 0x9FFF),
                                   rng.randint(0x3041, 0x3096), rng.randint(0x1F300, 0x1F64F),
                                   rng.randint(0x627, 0x64A))))
                   for _ in range(rng.randint(1, 14)))  # fmt: skip


def _code(rng: Random) -> str:
    text = rng.choice(CODE)
    for slot in ("{a}", "{b}"):
        text = text.replace(slot, _noun(rng).replace(" ", "_"))
    return text.replace("{n}", str(rng.randint(0, 99)))


def _near_miss(rng: Random) -> str:
    """Prompts that look like a task but are none."""
    country = rng.choice([c for c in COUNTRIES if c not in CAPITALS])
    templates = (
        "What is the capital of {c}?", "capital of {c}", "Sort my {a}.", "Add {a} and {b}.",
        "What is {a} + {b}?", "Spell check my {a}.", "Count the {a} in {c}.", "Sort out {a}",
        "What is the square root of {n}?", "What is {n} percent of {a}?", "Name the {a} of {c}.",
        "How many {a} are there in {c}?", "How many people live in {c}?", "Reverse {a} engineering",
        "Write a {a} in JSON schema.", "What is {n}?", "Is {a} even good?", "Solve {a} for x.",
        "What is larger, {a} or {b}?", "Which day is {a} day?", "What is the log of {n}?",
        "Integrate x^{n} dx", "Solve x^2 + {n}x = 0", "Convert {n} miles to km", "List all {a}.",
        "What day is today?", "What time is it?", "What is {n} factorial?", "{n}", "Count on me",
        "Make a list of {a}", "Write a word about {a}.", "Say something about {a}",
        "Make a sentence better: {a} is {b}", "Repeat the {a} again", "Convert {a} to {b}",
    )  # fmt: skip
    return phrase(rng, templates, a=_noun(rng), b=_noun(rng), c=country, n=rng.randint(2, 999))


_KINDS = (_from_shape, _soup, _other_language, _gibberish, _code, _near_miss)
_KIND_WEIGHTS = (0.46, 0.16, 0.12, 0.07, 0.06, 0.13)


def foreign(rng: Random) -> Example:
    prompt = rng.choices(_KINDS, _KIND_WEIGHTS)[0](rng)
    if rng.random() < 0.06:
        prompt = f"{prompt} {rng.choices(_KINDS, _KIND_WEIGHTS)[0](rng)}"
    return Example(prompt.strip() or "?", REPLY)


TASKS = (Task("foreign", foreign, 9.0, Group.FOREIGN),)
