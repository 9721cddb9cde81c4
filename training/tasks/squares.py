"""Latin squares of four letters: fill in the one that fits, or write any."""

from functools import cache
from itertools import permutations
from random import Random

from training.examples import Example, Group, Task
from training.phrasing import phrase

SIZE = 4
_LETTERS = "abcdefghkmnprstvwxz"
_HIDDEN = "."


def is_latin(cells: str) -> bool:
    """Whether sixteen places in reading order hold 0 to 3 once in every row and column."""
    if len(cells) != SIZE * SIZE:
        return False
    rows = [cells[SIZE * at : SIZE * at + SIZE] for at in range(SIZE)]
    columns = [cells[at::SIZE] for at in range(SIZE)]
    return all(set(unit) == set("0123") for unit in [*rows, *columns])


@cache
def all_squares() -> tuple[str, ...]:
    """Return the 576 squares over the places 0 to 3."""
    rows = ["".join(row) for row in permutations("0123")]
    found = [""]
    for _ in range(SIZE):
        found = [square + row for square in found for row in rows if _may_follow(square, row)]
    return tuple(found)


def _may_follow(square: str, row: str) -> bool:
    return all(row[at % SIZE] != cell for at, cell in enumerate(square))


def _written(cells: str, letters: str) -> str:
    """Write the square with letters for places, a row per line and spaces between the letters."""
    shown = [letters[int(cell)] if cell != _HIDDEN else _HIDDEN for cell in cells]
    return "\n".join(" ".join(shown[SIZE * row : SIZE * row + SIZE]) for row in range(SIZE))


def _symbols(rng: Random) -> str:
    return "".join(sorted(rng.sample(_LETTERS, SIZE)))


def fill(rng: Random) -> Example:
    """Draw an incomplete square that one way alone completes."""
    letters = _symbols(rng)
    while True:
        square = rng.choice(all_squares())
        hidden = set(rng.sample(range(SIZE * SIZE), rng.randint(4, 9)))
        shown = "".join(_HIDDEN if at in hidden else cell for at, cell in enumerate(square))
        if sum(_fits(other, shown) for other in all_squares()) == 1:
            break
    asks = ("Fill in this latin square of {l}:\n{x}", "Complete the latin square of {l}:\n{x}",
            "Latin square of {l}:\n{x}")  # fmt: skip
    prompt = phrase(rng, asks, l=", ".join(letters), x=_written(shown, letters))
    return Example(prompt, _written(square, letters), f"{letters}/{shown}")


def invent(rng: Random) -> Example:
    """Ask for any square that begins with one or two given letters."""
    letters, square = _symbols(rng), rng.choice(all_squares())
    start = "".join(letters[int(cell)] for cell in square[: rng.randint(1, 2)])
    asks = ("Write a latin square of {l} that starts with {x}.",
            "Make any latin square of {l} starting with {x}",
            "Invent a 4x4 latin square of the letters {l}; it starts with {x}.")  # fmt: skip

    def check(text: str) -> bool:
        cells = text.replace("\n", "").replace(" ", "")
        if len(cells) != SIZE * SIZE or not set(cells) <= set(letters):
            return False
        places = "".join(str(letters.index(cell)) for cell in cells)
        return text == _written(places, letters) and is_latin(places) and cells.startswith(start)

    prompt = phrase(rng, asks, l=", ".join(letters), x=" ".join(start))
    return Example(prompt, _written(square, letters), f"{letters}/{start}", check)


def _fits(square: str, shown: str) -> bool:
    return all(s in (_HIDDEN, cell) for cell, s in zip(square, shown, strict=True))


FAMILY = "latin"
PAIRS = (("latin_fill", "latin_invent"),)
TASKS = (
    Task("latin_fill", fill, 1.2, Group.ONE, FAMILY),
    Task("latin_invent", invent, 2.0, Group.MANY, FAMILY),
)
