"""Answers word for word on the model card: good and bad ones, as they came."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.quality_measures import Row
from benchmarks.quality_suites import MAX_TOKENS, Suite
from training.smol.measured import Measured

RULES = ("default", "preset balanced", "fixed 1")  # the first that was asked
SHARES = {Suite.EVERYDAY: 26, Suite.FACTS: 8, Suite.ONE: 8, Suite.MANY: 8}

_HEAD = """
## Answers word for word

{count}, not chosen: evenly spaced over the suites, the good and the bad. Rule `{rule}`,
greedy, at most {lengths} tokens, `{settings}`.
"""


def answers(found: Measured, settings: Mapping[str, Any]) -> str:
    """Return the section; empty where no rule's answers were kept."""
    for rule in RULES:
        kept = {suite: _spread((found.row(rule, suite) or {}).get("answers", ()), count)
                for suite, count in SHARES.items()}  # fmt: skip
        if any(kept.values()):
            break
    else:
        return ""
    lengths = "/".join(str(MAX_TOKENS[suite]) for suite in SHARES)
    head = _HEAD.format(
        count=sum(map(len, kept.values())),
        rule=rule,
        lengths=lengths,
        settings=json.dumps(settings.get("diffusion", {})),
    )
    return head + "".join(part for suite, rows in kept.items() for part in _shown(suite, rows))


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    taken = min(count, len(rows))
    return [rows[at * len(rows) // taken] for at in range(taken)]


def _shown(suite: Suite, rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        notes = [f"{suite}, {row['kind']}"]
        if "right" in row:
            notes.append("right" if row["right"] else "**wrong**")
        if not row["ended"]:
            notes.append("**did not end**")
        yield f"\n*{'; '.join(notes)}*\n\n{_fenced(_dialogue(row))}\n"


def _dialogue(row: Row) -> str:
    turns = [f"{turn['role']}: {turn['content']}" for turn in row["messages"]]
    return "\n".join([*turns, f"smol: {row['answer']}"])


def _fenced(text: str) -> str:
    """Verbatim, whatever fences the text itself holds."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
