"""Whether a free answer holds the fact that was asked for."""

import re
import unicodedata
from collections.abc import Sequence

READ_WORDS = 40  # an answer that comes later was not found, it was met by chance
_WORD = re.compile(r"\d+\.\d+|\w+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")


def holds_fact(text: str, accepted: Sequence[str]) -> bool:
    """Whether one of the accepted answers stands early in `text`, as whole words, not denied.

    Case, accents, hyphens and the comma in 1,000 do not matter; numbers match as a whole.
    """
    words = fact_words(text)[:READ_WORDS]
    return any(_stands_in(words, fact_words(answer)) for answer in accepted)


def fact_words(text: str) -> list[str]:
    """Return the words of a text in the one spelling they are compared in."""
    plain = unicodedata.normalize("NFKD", _THOUSANDS.sub("", text))
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    return _WORD.findall(kept.lower().replace("_", " "))


def _stands_in(words: list[str], answer: list[str]) -> bool:
    size = len(answer)
    return any(
        words[at : at + size] == answer and words[at - 1 : at] != ["not"]
        for at in range(len(words) - size + 1)
    )
