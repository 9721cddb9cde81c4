"""Wording of prompts: templates, and the untidiness of people who type in a hurry."""

import re
from random import Random

ROUGH_SHARE = 0.33
_SLOT = re.compile(r"(\{\w+\})")
_LONG_WORD = re.compile(r"[A-Za-z]{4,}")
_KEYBOARD = {
    key: row[max(0, index - 1) : index] + row[index + 1 : index + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for index, key in enumerate(row)
}
_OPENINGS = (
    "please {0}", "Please {0}", "can you {0}", "Could you {0}", "pls {0}", "hey, {0}",
    "now {0}", "I want you to {0}", "ok, {0}",
)  # fmt: skip
_CLOSINGS = ("{0} please", "{0}, please", "{0} thanks", "{0} pls")


def phrase(rng: Random, templates: tuple[str, ...], /, **slots: object) -> str:
    """Fill a random template; a third of the time make its wording (never a slot) untidy."""
    template = rng.choice(templates)
    if rng.random() < ROUGH_SHARE:
        template = roughen(rng, template)
    return _SLOT.sub(lambda match: str(slots[match.group()[1:-1]]), template)


def roughen(rng: Random, template: str) -> str:
    """Lower the case, drop the final mark, be polite or mistype one word; slots survive."""
    if rng.random() < 0.4:
        template = typo(rng, template)
    if rng.random() < 0.6:
        template = "".join(
            part if _SLOT.fullmatch(part) else part.lower() for part in _SLOT.split(template)
        )
    if rng.random() < 0.5:
        template = re.sub(r"\s*[.?!]$", "", template)
    if rng.random() < 0.15:
        template = template.replace(":", "", 1)
    if rng.random() < 0.3:
        template = _polite(rng, template)
    return template


def typo(rng: Random, template: str) -> str:
    """Mistype one word of four or more letters outside the slots."""
    taken = [match.span() for match in _SLOT.finditer(template)]
    spots = [
        match.span()
        for match in _LONG_WORD.finditer(template)
        if not any(low <= match.start() < high for low, high in taken)
    ]
    if not spots:
        return template
    start, end = rng.choice(spots)
    return template[:start] + _mistype(rng, template[start:end]) + template[end:]


def _mistype(rng: Random, word: str) -> str:
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    return word[:at] + rng.choice(_KEYBOARD.get(word[at], "e")) + word[at + 1 :]


def _polite(rng: Random, template: str) -> str:
    if rng.random() < 0.5:
        lowered = template if template.startswith("{") else template[:1].lower() + template[1:]
        return rng.choice(_OPENINGS).replace("{0}", lowered)
    mark = template[-1:] if template[-1:] in ".?!" else ""
    return rng.choice(_CLOSINGS).replace("{0}", template.rstrip(".?!")) + mark
