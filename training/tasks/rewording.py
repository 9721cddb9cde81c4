"""Small sentences: copied, said in other words, or made up around two given words."""

# ruff: noqa: SIM905 - word lists read best as text

import re
from collections import Counter
from dataclasses import dataclass
from random import Random

from training.examples import Example, Group, Task
from training.lexicon import ITEMS, NAMES, pseudo_word
from training.phrasing import phrase

FAMILY = "sentence"
PAIRS = (("sentence_copy", "sentence_reword"),)

_VERBS = {
    "sees": "spots", "likes": "loves", "buys": "purchases", "finds": "discovers",
    "paints": "draws", "sells": "offers", "wants": "needs", "hides": "conceals",
    "brings": "carries", "cleans": "washes", "fixes": "repairs", "takes": "grabs",
}  # fmt: skip
_SIZES = {"big": "large", "small": "little", "old": "ancient", "new": "fresh",
          "pretty": "beautiful", "broken": "damaged"}  # fmt: skip
_PLACES = {
    "in the garden": "out in the garden", "at the market": "over at the market",
    "near the river": "close to the river", "in the kitchen": "inside the kitchen",
    "on the hill": "up on the hill", "behind the house": "at the back of the house",
    "at school": "over at school", "in the forest": "deep in the forest",
}  # fmt: skip
_ORDERS = (
    "{n} {v} the {s} {i} {p}.",
    "{P}, {n} {v} the {s} {i}.",
    "It is {n} who {v} the {s} {i} {p}.",
    "{P}, it is the {s} {i} that {n} {v}.",
    "What {n} {v} {p} is the {s} {i}.",
    "The {s} {i} is what {n} {v} {p}.",
)
_LINKS = tuple(
    "next to|behind|under|beside|in front of|together with|instead of|before|after".split("|")
)
_ENDINGS = tuple("|today|every day|at noon|again|in the morning|with great care".split("|"))
_FILLERS = frozenset("the a an is it who what that and of to in on at".split())
_MOST_WORDS = 16


@dataclass(frozen=True, slots=True)
class _Scene:
    """Who does what to which thing, and where."""

    name: str
    verb: str
    size: str
    item: str
    place: str

    def say(self, order: str) -> str:
        start = self.place[:1].upper() + self.place[1:]
        return order.format(n=self.name, v=self.verb, s=self.size, i=self.item, p=self.place,
                            P=start)  # fmt: skip


def _scene(rng: Random) -> _Scene:
    name = rng.choice(NAMES) if rng.random() < 0.8 else pseudo_word(rng, 4, 6).capitalize()
    return _Scene(name, rng.choice(list(_VERBS)), rng.choice(list(_SIZES)), rng.choice(ITEMS),
                  rng.choice(list(_PLACES)))  # fmt: skip


def copy(rng: Random) -> Example:
    text = _scene(rng).say(rng.choice(_ORDERS))
    asks = ("Copy this sentence: {x}", "Repeat this sentence word for word: {x}",
            "Say this again without any change: {x}")  # fmt: skip
    return Example(phrase(rng, asks, x=text), text, text)


def reword(rng: Random) -> Example:
    """Ask for the same scene in another sentence; its parts may have synonyms, once each."""
    scene = _scene(rng)
    said = rng.choice(_ORDERS)
    asks = ("Say this in other words: {x}", "Paraphrase this sentence: {x}",
            "Rewrite this sentence without changing its meaning: {x}", "Reword: {x}")  # fmt: skip
    text = scene.say(said)
    order = rng.choice([order for order in _ORDERS if order != said])
    other = _Scene(
        scene.name,
        rng.choice((scene.verb, _VERBS[scene.verb])),
        rng.choice((scene.size, _SIZES[scene.size])),
        scene.item,
        rng.choice((scene.place, _PLACES[scene.place])),
    )
    return Example(
        phrase(rng, asks, x=text), other.say(order), text, lambda found: _same(found, text, scene)
    )


def _same(found: str, text: str, scene: _Scene) -> bool:
    words = _words(found)
    if words is None or len(words) > _MOST_WORDS or found == text:
        return False
    parts = ((scene.name.lower(),), (scene.item,), (scene.place.rsplit(" ", 1)[-1],),
             (scene.verb, _VERBS[scene.verb]), (scene.size, _SIZES[scene.size]))  # fmt: skip
    return all(sum(words.count(word) for word in part) == 1 for part in parts)


def invent(rng: Random) -> Example:
    """Ask for a sentence of few words that uses two given ones."""
    first, second = rng.sample(ITEMS, 2)
    most = rng.randint(8, 14)
    name, verb, size = rng.choice(NAMES), rng.choice(list(_VERBS)), rng.choice(list(_SIZES))
    link, ending = rng.choice(_LINKS), rng.choice(_ENDINGS)
    long = f"{name} {verb} the {size} {first} {link} the {second} {ending}".strip()
    short = f"{name} {verb} the {first} and the {second}"
    asks = ("Write a sentence of at most {n} words with {a} and {b}.",
            "Use {a} and {b} in one sentence of up to {n} words.",
            "A sentence with the words {a} and {b}, {n} words at most")  # fmt: skip

    def check(text: str) -> bool:
        words = _words(text)
        if words is None or not 4 <= len(words) <= most:
            return False
        repeated = {word for word, times in Counter(words).items() if times > 1}
        return words.count(first) == words.count(second) == 1 and repeated <= _FILLERS

    answer = f"{long if len(long.split()) <= most else short}."
    prompt = phrase(rng, asks, n=most, a=first, b=second)
    return Example(prompt, answer, f"{first}/{second}", check)


def _words(text: str) -> list[str] | None:
    """Read the words of one sentence in lower case; None if it is no single sentence."""
    if not re.fullmatch(r"[A-Z][A-Za-z, '-]*\.", text):
        return None
    return text[:-1].lower().replace(",", "").split()


TASKS = (
    Task("sentence_copy", copy, 1.0, Group.ONE, FAMILY),
    Task("sentence_reword", reword, 2.5, Group.MANY, FAMILY),
    Task("sentence_invent", invent, 2.5, Group.MANY),
)
