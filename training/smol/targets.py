"""What the model was to reach, beside what it reached: a floor and a goal for every figure."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.quality_measures import Row, bootstrap, difference
from benchmarks.quality_suites import Suite
from benchmarks.reader import APD as READER_APD
from benchmarks.reader import ONE as READER_ONE
from benchmarks.reader import ONE_OF_32 as READER_ONE_OF_32
from training.smol.measured import Measured

ONE_A_STEP = ("fixed 1 block 32", "fixed 1")  # the model may have shorter blocks of its own
FOUR_A_STEP = ("fixed 4",)
OWN_BLOCKS = ("fixed 1",)
APD = ("apd 0.5",)
LONGER_APD = ("apd 0.5 lookahead 16",)  # beside it, where it was asked
_EVERYDAY = "everyday questions"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure with its bounds; `sign` is 1 where more is better. None: it was not measured.

    Without a floor the figure is reported only.
    """

    name: str
    measured: float | None
    floor: float | None
    stretch: float | None
    sign: int = 1
    interval: tuple[float, float] | None = None
    unit: str = ""

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        if self.floor is None:
            return "reported"
        if self._reaches(self.stretch):
            return "stretch met"
        return "floor met" if self._reaches(self.floor) else "**missed**"

    def _reaches(self, bound: float | None) -> bool:
        if self.measured is None or bound is None:
            return False
        return self.sign * self.measured >= self.sign * bound


def targets(found: Measured) -> list[Target]:
    """All of them, in the order in which they were set."""
    everyday = found.first_row(ONE_A_STEP, Suite.EVERYDAY)
    return [
        _figure(f"NLL per token of {_EVERYDAY}, one token a step", everyday, "nll", 1.5, 1.1, -1),
        _figure("repeated trigrams in them", everyday, "repeated_trigrams", 0.08, 0.05, -1),
        _figure("short answers that end within 128 tokens", everyday, "ended_short", 95, 99,
                unit=" %"),
        *_facts(found),
        *_tasks(found),
        *_drafted(found, "APD", APD),
        *(_drafted(found, "APD, look-ahead 16", LONGER_APD)
          if found.first_row(LONGER_APD, Suite.EVERYDAY) else ()),
        *_clock(found),
    ]  # fmt: skip


def _figure(
    name: str,
    row: Row | None,
    key: str,
    floor: float | None,
    stretch: float | None,
    sign: int = 1,
    *,
    unit: str = "",
) -> Target:
    if row is None or key not in row:
        return Target(name, None, floor, stretch, sign, unit=unit)
    bounds = row.get(f"{key}_interval")
    interval = (bounds[0], bounds[1]) if bounds else None
    return Target(name, row[key], floor, stretch, sign, interval, unit)


def _facts(found: Measured) -> Iterator[Target]:
    """Against the base alone on the same questions: the score, and what it knew and is known yet.

    The score has a floor. Training teaches facts of a kind that the base lacks (sums), which makes
    up for others in the score, so the second is shown beside it.
    """
    score = "facts: score as a share of the base's own"
    known = "facts: of what the base answers rightly, still right"
    row, base = found.first_row(ONE_A_STEP, Suite.FACTS), found.base.get(Suite.FACTS)
    if row is None or base is None or row["n"] != base["n"] or "1" not in base["right"]:
        yield Target(score, None, 90, 105, unit=" %")
        return
    pairs = [(int(ours), int(theirs)) for ours, theirs in zip(row["right"], base["right"],
                                                              strict=True)]  # fmt: skip
    yield _share(score, pairs, 90, 105)
    yield _share(known, [(ours * theirs, theirs) for ours, theirs in pairs], None, None)


def _share(
    name: str, pairs: list[tuple[int, int]], floor: float | None, stretch: float | None
) -> Target:
    """The sum of the first of each pair as a percentage of the sum of the second."""
    low, high = (round(bound, 1) for bound in bootstrap([(100 * a, b) for a, b in pairs]))
    value = 100 * sum(a for a, _ in pairs) / sum(b for _, b in pairs)
    return Target(name, round(value, 1), floor, stretch, interval=(low, high), unit=" %")


def _tasks(found: Measured) -> Iterator[Target]:
    one, many = (found.first_row(ONE_A_STEP, suite) for suite in (Suite.ONE, Suite.MANY))
    yield _figure("one-answer tasks, one token a step", one, "score", 92, 98, unit=" %")
    yield _figure("many-answer tasks, one token a step", many, "score", 75, 90, unit=" %")
    if found.first_row(ONE_A_STEP[:1], Suite.MANY) is not None:
        own = found.first_row(OWN_BLOCKS, Suite.MANY)
        yield _figure(
            "the same in the model's own, shorter blocks", own, "score", 75, 90, unit=" %"
        )
    four = found.first_row(FOUR_A_STEP, Suite.MANY)
    yield _figure("many-answer tasks, four tokens a step", four, "score", None, None, unit=" %")


def _drafted(found: Measured, apd: str, rules: tuple[str, ...]) -> Iterator[Target]:
    """What one setting of APD brings, and what it costs against one token a step.

    That is asked in blocks of 32 and, where those are not the model's own, in its own: the floor
    is for the first, the second is shown beside it.
    """
    for suite, what, floor, stretch in (
        (Suite.EVERYDAY, _EVERYDAY, 2.5, 4),
        (Suite.ONE, "one-answer tasks", 6, 12),
        (Suite.MANY, "many-answer tasks", 2, 3),
    ):
        row = found.first_row(rules, suite)
        forward = f"{apd}: tokens per diffusion forward, {what}"
        yield _figure(forward, row, "tokens_per_forward", floor, stretch)
        measured, sign = ("NLL", -1) if suite is Suite.EVERYDAY else ("points", 1)
        best = -0.2 if suite is Suite.EVERYDAY else None
        slow: dict[str, tuple[str, ...]] = {"one token a step": ONE_A_STEP}
        if found.first_row(ONE_A_STEP[:1], suite) is not None:
            slow["one token a step in its own blocks"] = OWN_BLOCKS
        for against, plain in slow.items():
            asked = plain is ONE_A_STEP
            name = f"{apd}: {measured} against {against}, {what}"
            yield _against(name, found.first_row(plain, suite), row, 0.0 if asked else None,
                           best if asked else None, sign)  # fmt: skip


def _against(
    name: str,
    plain: Row | None,
    other: Row | None,
    floor: float | None,
    stretch: float | None,
    sign: int,
) -> Target:
    """`other` minus `plain`, compared question by question."""
    found = difference(plain, other) if plain is not None and other is not None else None
    if found is None:
        return Target(name, None, floor, stretch, sign)
    value, low, high = (round(part, 3) + 0.0 for part in found)
    return Target(name, value, floor, stretch, sign, (low, high))


def _clock(found: Measured) -> Iterator[Target]:
    """For each machine that readers were served on: against each slow way that was measured."""
    name = "APD: wall clock against {}, verifier included, " + _EVERYDAY
    if not found.speeds:
        yield Target(name.format(READER_ONE), None, 1.5, 3)
    for report in found.speeds:
        one = report["results"]["server"]["one"]
        drafted = one.get(READER_APD, {}).get("tokens_per_s")
        for rule in (READER_ONE, READER_ONE_OF_32):
            plain = one.get(rule, {}).get("tokens_per_s")
            if plain or rule == READER_ONE:
                gain = round(drafted / plain, 2) if drafted and plain else None
                title = f"{name.format(rule)} ({report['hardware']['cpu']})"
                yield Target(title, gain, 1.5, 3, unit="x")
