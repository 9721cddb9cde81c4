"""The verifier's model card, written from measured results."""

from collections.abc import Mapping
from typing import Any

from training.checkpoint import Progress
from training.examples import Group
from training.tasks.registry import TASKS
from training.verifier.evaluate import RULE
from training.verifier.layout import SHAPE

_ABOUT = """---
license: apache-2.0
language: en
---

# dfastllm tiny, verifier

A causal language model with the Llama architecture and {parameters:,} parameters (float16; width
{width}, {layers} layers, {heads} heads, tied head). It reads the drafts of `builtin:tiny` from left
to right in adaptive parallel decoding (`strategy: apd`) and is found beside it. The tokenizer is
the one of `builtin:tiny`. It is no assistant, and serves nothing alone.

- Training data: the same generated tasks, of their own draw. Seed {seed}.
- Training: next-token cross-entropy on answers and their end; {total_steps:,} steps of
  {tokens_per_step:,} tokens (filler included), {seconds:.0f} s on {device}.
- Context: rows of at most 256 tokens were seen in training; the configured limit is 1024.
"""

_ALONE = """
## Alone

{n} prompts per task whose contents training never showed; the verifier's own answers, the most
probable token at a time. Exact match in percent.

| one right answer | many right answers | in conversation | foreign prompts | written by hand |
|---|---|---|---|---|
| {em_one:g} | {em_many:g} | {em_in_conversation:g} | {em_foreign:g} | {em_foreign_handwritten:g} |

Tasks below 90 %: {weak}.
"""

_DRAFTS = """
## On drafts of `builtin:tiny`

`python -m benchmarks.quality`, {n} held-out prompts per suite, greedy. Tokens per forward of the
diffusion model; each verifier pass is a forward of this model besides.

| rule | one right answer | tokens/forward | many right answers | tokens/forward |
|---|---|---|---|---|
"""


def write(
    report: Mapping[str, Any], progress: Progress, parameters: int, quality: Mapping[str, Any]
) -> str:
    """Return the card as Markdown; `quality` are the results by rule of a quality run."""
    head = _ABOUT.format(
        parameters=parameters,
        width=SHAPE.width,
        layers=SHAPE.layers,
        heads=SHAPE.heads,
        seed=progress.seed,
        total_steps=progress.total_steps,
        tokens_per_step=progress.tokens_per_step,
        seconds=progress.seconds,
        device=progress.device,
    )
    summary, tasks = report[RULE]["summary"], report[RULE]["tasks"]
    alone = _ALONE.format(n=report["limit"], weak=_weak(tasks), **summary)
    return head + alone + _drafts(quality)


def _weak(tasks: Mapping[str, Mapping[str, float]]) -> str:
    order = sorted(TASKS, key=lambda name: tasks[name]["em"])
    weak = [f"`{name}` {tasks[name]['em']:g}" for name in order if tasks[name]["em"] < 90]
    return ", ".join(weak) or "none"


def _drafts(quality: Mapping[str, Any]) -> str:
    if not quality:
        return ""
    lines = [
        f"| {rule} | " + " | ".join(_cells(found[str(group)]) for group in (Group.ONE, Group.MANY))
        for rule, found in quality.items()
    ]
    n = next(iter(quality.values()))[str(Group.ONE)]["n"]
    return _DRAFTS.format(n=n) + "\n".join(f"{line} |" for line in lines) + "\n"


def _cells(row: Mapping[str, float]) -> str:
    return f"{row['score']:.1f} | {row['tokens_per_forward']:.1f}"
