"""What the quality harness and the reader benchmark measured, read from their raw results."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.quality_checkpoint import CAUSAL
from benchmarks.quality_measures import Row
from benchmarks.quality_suites import Suite
from dfastllm.builtin.store import contents_of

_ALONE = "default"  # the only rule of a causal model
_BY_LENGTH = "steps"  # of a rule: it differs between suites


class Mixed(ValueError):
    """Results that do not belong together; the message names the file."""


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

    def check(self, contents: str, base: str) -> None:
        """Raise Mixed unless all is of the model with this hash, or of its base.

        `base` is the name that the base is measured by: it stands for one file, whose own hash is
        checked where it is read.
        """
        for report in (*self.runs, *self.speeds):
            asked = report["parameters"]
            if asked["model"] == f"{CAUSAL}{base}" or is_of(report, contents):
                continue
            made_of = asked.get("checkpoint") or "an unknown checkpoint"
            raise Mixed(
                f"results of {asked['model']} ({made_of}) are not of this model, whose "
                f"checkpoint ends in {contents}: measure it anew"
            )


def is_of(report: Mapping[str, Any], contents: str) -> bool:
    """Whether a report is of the model with this hash, by whatever name it was asked."""
    checkpoint = report["parameters"].get("checkpoint")
    return checkpoint is not None and contents_of(checkpoint) == contents


def read(results: Iterable[Path], speeds: Iterable[Path] = ()) -> Measured:
    """Merge raw results; where two hold the same rule and suite, the first file's row is taken.

    Raises Mixed where files are of different models, or mean different things by a rule's name.
    """
    found = Measured()
    checkpoints: dict[bool, str | None] = {}  # of the base alone, and of the model
    decodings: dict[str, Mapping[str, Any]] = {}
    for path in results:
        body = json.loads(path.read_text())
        found.runs.append(body)
        asked = body["parameters"]
        alone = str(asked["model"]).startswith(CAUSAL)
        checkpoint = asked.get("checkpoint")
        if checkpoints.setdefault(alone, checkpoint) != checkpoint:
            raise Mixed(f"{path} is of {checkpoint}, the files before of {checkpoints[alone]}")
        if alone:
            found.base = {**body["results"].get(_ALONE, {}), **found.base}
            continue
        for rule, rows in body["results"].items():
            for decoding in _decodings(rows):
                if decodings.setdefault(rule, decoding) != decoding:
                    raise Mixed(f"{path}: {rule} is {decoding}, before it was {decodings[rule]}")
            found.rules[rule] = {**rows, **found.rules.get(rule, {})}
    found.speeds += [json.loads(path.read_text()) for path in speeds]
    return found


def _decodings(rows: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """What a rule came to in each suite, but for the steps, which follow from the length."""
    for suite in Suite:
        said = rows.get(suite, {}).get("decoding")
        if said is not None:
            yield {name: value for name, value in said.items() if name != _BY_LENGTH}
