"""Results of a quality run as markdown: a table a suite, the pairs side by side, the caches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.quality_measures import Row, difference
from benchmarks.quality_suites import Suite

Results = Mapping[str, Mapping[str, Any]]  # by rule: its cache, and a row for each suite

# What a cache may cost by its default refresh policy: points, and nats on everyday questions.
ALLOWED = {Suite.ONE: 0.5, Suite.MANY: 2.0, Suite.EVERYDAY: 0.05}

_COLUMNS = (
    ("score", "score %"),
    ("nll", "NLL/token"),
    ("tokens_per_forward", "tokens/forward"),
    ("tokens_per_s", "tokens/s"),
    ("tokens_per_answer", "tokens/answer"),
    ("verifier_passes", "verifier passes/forward"),
    ("context_passes", "context passes/forward"),
    ("accepted", "accepted of drafted"),
    ("repeated_trigrams", "repeated trigrams"),
    ("ended", "ended %"),
    ("ended_short", "ended % (short asked)"),
)


def tables(results: Results) -> str:
    """Everything there is to show; intervals are 95 %, rules on the frontier are bold."""
    parts = [_suite_table(suite, results) for suite in Suite if _rows(suite, results)]
    parts += [part for part in (_pairs_table(results), _cache_table(results)) if part]
    refused = [f"- {rule}: {found['refused']}" for rule, found in results.items()
               if "refused" in found]  # fmt: skip
    if refused:
        parts.append("\n".join(["**Not answered**", "", *refused]))
    return "\n\n".join(parts) + "\n"


def _rows(suite: str, results: Results) -> dict[str, Row]:
    return {rule: row for rule, found in results.items() if (row := found.get(suite))}


def _suite_table(suite: str, results: Results) -> str:
    rows = _rows(suite, results)
    shown = [(key, title) for key, title in _COLUMNS if any(key in row for row in rows.values())]
    count = next(iter(rows.values()))["n"]
    best = frontier(suite, rows)
    body = [
        [_name(rule, row, best), *(_cell(row, key) for key, _ in shown)]
        for rule, row in rows.items()
    ]
    head = ["rule", *(title for _, title in shown)]
    return f"**{suite}** ({count} questions)\n\n{_markdown(head, body)}"


def _name(rule: str, row: Row, best: set[str]) -> str:
    """A rule that comes to the same as another says so: it was not asked again."""
    name = f"**{rule}**" if rule in best else rule
    return f"{name} = {row['same_as']}" if "same_as" in row else name


def frontier(suite: str, rows: Mapping[str, Row]) -> set[str]:
    """The rules that none beats or equals in quality with more tokens a forward.

    Where servers count no forwards there is nothing to choose by.
    """
    key, sign = ("nll", -1) if suite == Suite.EVERYDAY else ("score", 1)
    points = {
        rule: (sign * row[key], row["tokens_per_forward"])
        for rule, row in rows.items()
        if key in row and "tokens_per_forward" in row
    }
    return {
        rule
        for rule, point in points.items()
        if not any(
            other != point and other[0] >= point[0] and other[1] >= point[1]
            for other in points.values()
        )
    }


def _pairs_table(results: Results) -> str:
    fixed, free = _rows(Suite.PAIRS_FIXED, results), _rows(Suite.PAIRS_OPEN, results)
    body = [
        [rule, _cell(row, "score"), _cell(free[rule], "score"),
         _cell(row, "tokens_per_forward"), _cell(free[rule], "tokens_per_forward")]
        for rule, row in fixed.items() if rule in free
    ]  # fmt: skip
    if not body:
        return ""
    head = ["rule", "order fixes the answer %", "order leaves it open %", "tokens/forward, fixed",
            "tokens/forward, open"]  # fmt: skip
    return f"**Parallel pairs**\n\n{_markdown(head, body)}"


def _cache_table(results: Results) -> str:
    """What each cache costs against the same rule without, question by question."""
    body = []
    for rule, found in results.items():
        stem = rule.removesuffix(f" {found.get('cache')} cache")
        plain = f"{stem} no cache" if f"{stem} no cache" in results else stem
        if stem == rule or plain not in results:
            continue
        for suite, allowed in ALLOWED.items():
            if suite not in found or suite not in results[plain]:
                continue
            lost = loss(suite, found[suite], results[plain][suite])
            if lost is not None:
                shown = f"{lost[0]:+.2f} ({lost[1]:+.2f} to {lost[2]:+.2f})"
                verdict = "kept" if lost[0] <= allowed else "missed"
                body.append([rule, suite, shown, f"{allowed:g}", verdict])
    head = ["rule", "suite", "loss", "allowed", ""]
    return f"**Caches**\n\n{_markdown(head, body)}" if body else ""


def loss(suite: Suite, cached: Row, plain: Row) -> tuple[float, float, float] | None:
    """Points lost, or nats gained on everyday questions, and the interval of that."""
    if suite is Suite.EVERYDAY:
        return difference(plain, cached)
    return difference(cached, plain)


def _cell(row: Row, key: str) -> str:
    if key not in row:
        return ""
    interval = row.get(f"{key}_interval")
    return f"{row[key]} ({interval[0]} to {interval[1]})" if interval else f"{row[key]}"


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines([head, ["---"] * len(head), *body]))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(row)} |"
