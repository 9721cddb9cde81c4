"""4 by 4 sudoku: every row, column and quarter holds 1 to 4 once."""

from functools import cache
from itertools import permutations
from random import Random

from training.examples import Example, Task
from training.phrasing import phrase

_ROWS = tuple("".join(row) for row in permutations("1234"))


def is_solved(grid: str) -> bool:
    """Whether 16 digits in reading order form a finished sudoku."""
    if len(grid) != 16:
        return False
    lines = [grid[4 * row : 4 * row + 4] for row in range(4)]
    columns = [grid[column::4] for column in range(4)]
    quarters = [grid[at : at + 2] + grid[at + 4 : at + 6] for at in (0, 2, 8, 10)]
    return all(set(unit) == set("1234") for unit in [*lines, *columns, *quarters])


@cache
def all_grids() -> tuple[str, ...]:
    """Return the 288 finished grids."""
    found = []
    for top in _ROWS:
        for second in _ROWS:
            if any(a == b for a, b in zip(top, second, strict=True)):
                continue
            if {*top[:2], *second[:2]} != set("1234"):
                continue
            for third in _ROWS:
                found += [grid for last in _ROWS if is_solved(grid := top + second + third + last)]
    return tuple(found)


def fits(grid: str, puzzle: str) -> bool:
    """Whether the grid agrees with every given digit (a dot is open)."""
    return len(grid) == 16 and all(p in (".", g) for g, p in zip(grid, puzzle, strict=True))


def in_rows(cells: str) -> str:
    return "\n".join(cells[4 * row : 4 * row + 4] for row in range(4))


def _opened(rng: Random, grid: str, count: int) -> str:
    open_cells = set(rng.sample(range(16), count))
    return "".join("." if at in open_cells else digit for at, digit in enumerate(grid))


def solve(rng: Random) -> Example:
    """Draw a puzzle with exactly one solution."""
    while True:
        grid = rng.choice(all_grids())
        puzzle = _opened(rng, grid, rng.randint(4, 10))
        if sum(fits(other, puzzle) for other in all_grids()) == 1:
            break
    asks = ("Solve this 4x4 sudoku:\n{x}", "Solve the sudoku:\n{x}", "Sudoku:\n{x}",
            "Fill in this sudoku:\n{x}")  # fmt: skip
    return Example(phrase(rng, asks, x=in_rows(puzzle)), in_rows(grid), puzzle)


def invent(rng: Random) -> Example:
    """Ask for any finished grid that begins with a given row."""
    grid = rng.choice(all_grids())
    shown = rng.randint(2, 4)
    start = grid[:shown]
    asks = ("Write a 4x4 sudoku grid that starts with {x}.", "Make a 4x4 sudoku starting with {x}",
            "Write any solved 4x4 sudoku whose first row starts with {x}.")  # fmt: skip

    def check(text: str) -> bool:
        cells = text.replace("\n", "")
        return text == in_rows(cells) and is_solved(cells) and cells.startswith(start)

    return Example(phrase(rng, asks, x=start), in_rows(grid), start, check)


SOLVE = Task("sudoku", solve, 1.2)
