"""What the stories measured: seconds, requests, what was lost, memory of each part.

`E2E_REPORT=1` writes `benchmarks/results/e2e.json`, another word a file of that name: a run of some
of them. `PYTHONPATH=tests python -m e2e.report [NAME]` prints it as tables for `docs/log.md`.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.report import RESULTS
from benchmarks.report import Report as File
from e2e.tally import Tally

NAME = "e2e"


@dataclass
class Story:
    """One of them, while it is told. `numbers` are what it measured itself, by name with unit."""

    name: str
    numbers: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    unfinished: int = 0
    wrong: int = 0
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    passed: bool = False
    memory_mib: dict[str, int] = field(default_factory=dict)

    def saw(self, tally: Tally) -> None:
        """What readers were told; may be called for several groups of them."""
        self.requests += tally.requests
        self.failed += tally.failed
        self.unfinished += tally.unfinished
        self.wrong += tally.wrong
        self.errors += tally.errors

    def measured(self, **numbers: float) -> None:
        self.numbers |= {name: round(value, 2) for name, value in numbers.items()}


class Report:
    """Of one run; it notes how busy the machine is when it is made."""

    def __init__(self, nodes: int, name: str = "") -> None:
        self._file = File(NAME if name in ("", "1") else name, nodes=nodes)
        self.stories: list[Story] = []

    def write(self) -> str:
        """Where to."""
        return str(self._file.write(results=[asdict(story) for story in self.stories]))


def tables(stories: list[Mapping[str, Any]]) -> str:
    """Markdown: a row for each story, then one for each part of the cluster."""
    return "\n".join([*_stories(stories), "", *_memory(stories)])


def _stories(stories: list[Mapping[str, Any]]) -> list[str]:
    rows = [
        "| story | s | requests | failed | unfinished | measured |",
        "|---|---|---|---|---|---|",
    ]
    for one in stories:
        numbers = ", ".join(f"{name} {value:g}" for name, value in one["numbers"].items())
        name = one["name"] if one["passed"] else f"{one['name']} (did not pass)"
        counts = f"{one['requests']} | {one['failed']} | {one['unfinished']}"
        rows.append(f"| {name} | {one['seconds']:.1f} | {counts} | {numbers} |")
    return rows


def _memory(stories: list[Mapping[str, Any]]) -> list[str]:
    """The most that any story saw of it."""
    most: dict[str, int] = {}
    for one in stories:
        for part, amount in one["memory_mib"].items():
            most[part] = max(amount, most.get(part, 0))
    rows = [f"| {part} | {amount} |" for part, amount in sorted(most.items())]
    return ["| part | MiB at most |", "|---|---|", *rows] if rows else []


def main() -> None:
    name = sys.argv[1] if sys.argv[1:] else NAME
    print(tables(json.loads((RESULTS / f"{name}.json").read_text())["results"]))


if __name__ == "__main__":
    main()
