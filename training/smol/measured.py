"""What the quality harness and the reader benchmark measured, read from their raw results."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.quality import CAUSAL
from benchmarks.quality_measures import Row
from benchmarks.quality_suites import Suite

_ALONE = "default"  # the only rule of a causal model


@dataclass(slots=True)
class Measured:
    """Rows by rule and suite, those of the base alone, and one report a machine for speed."""

    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    base: dict[str, Any] = field(default_factory=dict)
    runs: list[Mapping[str, Any]] = field(default_factory=list)  # quality reports, as read
    speeds: list[Mapping[str, Any]] = field(default_factory=list)  # reader reports, as read

    def row(self, rule: str, suite: Suite) -> Row | None:
        """What a rule came to in a suite; None where it was not asked."""
        found: Row | None = self.rules.get(rule, {}).get(suite)
        return found

    def first_row(self, rules: Iterable[str], suite: Suite) -> Row | None:
        """The row of the first of these rules that has one."""
        return next((row for rule in rules if (row := self.row(rule, suite)) is not None), None)


def read(results: Iterable[Path], speeds: Iterable[Path] = ()) -> Measured:
    """Merge raw results; where two hold the same rule and suite, the first file's row is taken."""
    found = Measured()
    for path in results:
        body = json.loads(path.read_text())
        found.runs.append(body)
        if str(body["parameters"]["model"]).startswith(CAUSAL):
            found.base = {**body["results"].get(_ALONE, {}), **found.base}
            continue
        for rule, rows in body["results"].items():
            found.rules[rule] = {**rows, **found.rules.get(rule, {})}
    found.speeds += [json.loads(path.read_text()) for path in speeds]
    return found
