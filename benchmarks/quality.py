"""Quality by decoding rule: `python -m benchmarks.quality --model builtin:tiny --grid presets`.

Every rule of a grid answers every suite. Raw results go to `results/quality/NAME.json`, written
after every suite, tables to `NAME.md` beside it. A run that was stopped, or that `--minutes` ended,
goes on with `--resume`: what was answered is kept.
`--model` is a built-in, a directory or a hub id; `http://...` a server (its key in OPENAI_API_KEY);
`causal:NAME` a causal model, a token at a time (`causal:builtin:smol-base`, or a directory).
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from benchmarks.quality_base import CausalBase
from benchmarks.quality_checkpoint import CAUSAL, REMOTE, checkpoint_of
from benchmarks.quality_measures import kept_answers, measure
from benchmarks.quality_partners import Answer, Offline, Partner, Served
from benchmarks.quality_plots import plot
from benchmarks.quality_rules import DEFAULT, GRIDS, Rule, rules_of
from benchmarks.quality_suites import MAX_TOKENS, Question, Suite, load_suite
from benchmarks.quality_tables import tables
from benchmarks.report import RESULTS, Report
from dfastllm.errors import InvalidRequest

SMALL_MODEL = "builtin:tiny"
COUNTS = {"ci": 20, "presets": 40, "cache": 200, "card": 300, "full": 300}
KEPT_ANSWERS = 50
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Run:
    """Who is asked what, and who judges it."""

    partner: Partner
    suites: Mapping[Suite, Sequence[Question]]
    base: CausalBase | None = None
    answers: int = KEPT_ANSWERS  # of a suite, word for word
    device: str = "cpu"

    def of_rule(self, rule: Rule) -> dict[str, Any]:
        """Answer every suite by one rule."""
        *_, found = self.suite_by_suite(rule, {})
        return found

    def suite_by_suite(
        self, rule: Rule, kept: Mapping[str, Any], others: Mapping[str, Any] = _NOTHING
    ) -> Iterator[dict[str, Any]]:
        """What there is of a rule after each suite that `kept` does not hold.

        `others` are the rules answered before: one that comes to the same is not asked again.
        """
        found: dict[str, Any] = {"cache": rule.cache, "options": dict(rule.options), **kept}
        if "refused" in kept:
            return
        for suite in [suite for suite in self.suites if suite not in kept]:
            try:
                row = self._same(suite, rule, others) or self._of_suite(
                    suite, self.suites[suite], rule
                )
                found = {**found, suite: row}
            except InvalidRequest as error:
                found = {"refused": str(error)}
            yield found
            if "refused" in found:
                return

    def goes_on(self, rule: Rule, kept: Mapping[str, Any]) -> bool:
        """Whether the rule still comes to what it came to where it was answered."""
        said = {suite: kept[suite].get("decoding") for suite in Suite if suite in kept}
        return all(said[s] == self.partner.decoding(rule, MAX_TOKENS[s]) for s in said)

    def _same(self, suite: Suite, rule: Rule, others: Mapping[str, Any]) -> dict[str, Any] | None:
        """The row of another rule with the very same settings, and whose it is."""
        if not self.partner.resolves:
            return None
        decoding = json.loads(json.dumps(self.partner.decoding(rule, MAX_TOKENS[suite])))
        for name, rows in others.items():
            row = rows.get(suite)
            if row and json.loads(json.dumps(row["decoding"])) == decoding:
                return {**row, "same_as": row.get("same_as", name)}
        return None

    def _of_suite(self, suite: Suite, questions: Sequence[Question], rule: Rule) -> dict[str, Any]:
        began = time.perf_counter()
        answers = self.partner.answer(questions, rule, MAX_TOKENS[suite])
        seconds = time.perf_counter() - began
        judged = self.base is not None and suite is Suite.EVERYDAY
        nll = self.base.nll(questions, answers) if judged and self.base else None
        row = measure(questions, answers, seconds, nll)
        row["decoding"] = self.partner.decoding(rule, MAX_TOKENS[suite])
        row["device"] = self.device  # parts of a run may be made on several
        row["kinds"] = _by_kind(questions, answers)
        if self.answers:
            row["answers"] = kept_answers(questions, answers, self.answers)
        return row


def _by_kind(questions: Sequence[Question], answers: Sequence[Answer]) -> dict[str, Any]:
    """For each kind its questions, right answers, tokens and forwards."""
    kinds: dict[str, dict[str, int]] = {}
    for question, answer in zip(questions, answers, strict=True):
        row = kinds.setdefault(
            question.kind, dict.fromkeys(("n", "right", "tokens", "forwards"), 0)
        )
        row["n"] += 1
        row["right"] += question.judge is not None and question.judge(answer.text)
        row["tokens"] += answer.tokens
        row["forwards"] += answer.forwards
    return kinds


def open_partner(options: argparse.Namespace) -> Partner:
    model: str = options.model
    if model.startswith(CAUSAL):
        name = model.removeprefix(CAUSAL)
        return CausalBase(name, device=_computes_on(options), rows=options.rows)
    if model.startswith(REMOTE):
        return Served(model, rows=options.rows, api_key=os.environ.get("OPENAI_API_KEY", ""))
    more = {"verifier": options.verifier} if options.verifier else {}
    return Offline(model, rows=options.rows, num_threads=options.threads, device=options.device,
                   dtype=options.dtype, **more)  # fmt: skip


def _judge(options: argparse.Namespace, partner: Partner) -> CausalBase:
    """A base that answers itself judges too: its weights are in memory once."""
    if isinstance(partner, CausalBase) and options.model == f"{CAUSAL}{options.base}":
        return partner
    return CausalBase(options.base, device=_computes_on(options))


def suites_of(options: argparse.Namespace) -> dict[Suite, list[Question]]:
    """The suites asked for; the small model is asked only what it was made for."""
    small = (options.tasks or ("small" if options.model == SMALL_MODEL else "wide")) == "small"
    names = options.suites or ([Suite.ONE, Suite.MANY] if small else list(Suite))
    count = options.count or COUNTS[options.grid]
    return {Suite(name): load_suite(Suite(name), count, wide=not small) for name in names}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SMALL_MODEL)
    parser.add_argument("--grid", choices=GRIDS, default="presets")
    parser.add_argument("--suites", nargs="+", choices=list(Suite))
    parser.add_argument("--tasks", choices=("small", "wide"), help="whose exact tasks are asked")
    parser.add_argument("--rules", nargs="+", help="of the full grid, by name, in place of a grid")
    parser.add_argument("--count", type=int, help="questions a suite")
    parser.add_argument("--rows", type=int, default=8, help="answers computed side by side")
    parser.add_argument("--base", help="causal model that judges everyday answers")
    parser.add_argument("--verifier", help="of a model that brings none of its own")
    parser.add_argument("--threads", type=int, help="compute threads")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--name", help="of the results; the model's and the grid's if left out")
    parser.add_argument("--out", type=Path, default=RESULTS / "quality", help="folder of results")
    parser.add_argument("--resume", action="store_true", help="keep what was answered before")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no suite after so long")
    parser.add_argument("--answers", type=int, default=KEPT_ANSWERS, metavar="N",
                        help="kept word for word of each rule and suite")  # fmt: skip
    parser.add_argument("--no-texts", dest="answers", action="store_const", const=0,
                        help="figures only")  # fmt: skip
    parser.add_argument("--plot", action="store_true", help="write NAME.svg (needs matplotlib)")
    return parser.parse_args(given)


def main() -> None:
    options = arguments()
    if options.plot and find_spec("matplotlib") is None:
        sys.exit("--plot needs matplotlib, which `make install` brings")
    until = time.monotonic() + 60 * options.minutes
    name = options.name or f"{_slug(_shown(options.model))}-{options.grid}"
    path = options.out / f"{name}.json"
    parameters = {key: value for key, value in vars(options).items() if key not in _OF_ONE_CALL}
    named = {key: _shown(given) for key in _NAMES if (given := parameters[key]) is not None}
    report = Report(name, **{**parameters, **named}, checkpoint=checkpoint_of(options.model))
    results = _kept(path, report) if options.resume and path.exists() else {}
    try:
        rules = rules_of(options.grid, options.rules)
    except ValueError as error:
        sys.exit(str(error))
    if options.model.startswith(CAUSAL):
        rules = [DEFAULT]
    partner = open_partner(options)
    base = _judge(options, partner) if options.base else None
    run = Run(partner, suites_of(options), base, options.answers, _device(options))
    if other := [rule.name for rule in rules if not run.goes_on(rule, results.get(rule.name, {}))]:
        sys.exit(f"{path}: {', '.join(other)} was something else before: it cannot be gone on with")
    report.write(results=results, folder=options.out)
    for rule in rules:
        parts = run.suite_by_suite(rule, results.get(rule.name, {}), results)
        while time.monotonic() < until and (found := next(parts, None)) is not None:
            results[rule.name] = found
            report.write(results=results, folder=options.out)
        print(rule.name, json.dumps(_brief(results.get(rule.name, {}))), flush=True)
    path.with_suffix(".md").write_text(tables(results))
    if options.plot:
        plot(results, path.with_suffix(".svg"), f"{options.model}, {options.grid}")
    print(tables(results), path, sep="\n")


_NAMES = ("model", "base", "verifier")
_OF_ONE_CALL = ("out", "resume", "minutes", "plot", "name", "rules", "suites")


def _kept(path: Path, report: Report) -> dict[str, Any]:
    """What a run with the same settings answered before; other answers do not mix with ours."""
    before = json.loads(path.read_text())
    ours = json.loads(json.dumps(report.parameters))
    other = [name for name, value in ours.items() if before["parameters"].get(name) != value]
    if other:
        sys.exit(f"{path} was made with another {', '.join(other)}: it cannot be gone on with")
    return dict(before["results"])


def _brief(found: Mapping[str, Any]) -> dict[str, Any]:
    """One line on a rule while the others are still to come."""
    keys = ("score", "nll", "tokens_per_forward", "tokens_per_s")
    rows = {suite: found[suite] for suite in Suite if suite in found}
    brief = {str(s): {k: row[k] for k in keys if k in row} for s, row in rows.items()}
    return brief or {"refused": found.get("refused", "")}


def _device(options: argparse.Namespace) -> str:
    """Where answers are computed, if it is here."""
    if options.model.startswith(REMOTE):
        return "server"
    return torch.cuda.get_device_name() if _computes_on(options) == "cuda" else "cpu"


def _computes_on(options: argparse.Namespace) -> str:
    """The device that was asked for, else the fastest there is, as the engine chooses."""
    return options.device or ("cuda" if torch.cuda.is_available() else "cpu")


def _shown(model: str) -> str:
    """A name without the path; through links, so that another model behind one is another name."""
    prefix = CAUSAL if model.startswith(CAUSAL) else ""
    name = model.removeprefix(prefix)
    if name.startswith(("/", ".", "~")):
        name = Path(name).expanduser().resolve().name
    return prefix + name


def _slug(model: str) -> str:
    return model.removeprefix(CAUSAL).removeprefix("builtin:").replace("://", "-").replace("/", "-")


if __name__ == "__main__":
    main()
