"""What a set of answers comes to, with 95 % intervals."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.quality_partners import Answer
from benchmarks.quality_suites import SHORT, Question

_Z = 1.96
_RESAMPLES = 1000
Row = dict[str, Any]


def measure(
    questions: Sequence[Question],
    answers: Sequence[Answer],
    seconds: float,
    nll: Sequence[tuple[float, int]] | None = None,
) -> Row:
    """One cell of the grid. `nll` holds each answer's nats and tokens under the base.

    Tokens are text and the end of the turn; the filler behind it is never counted. `right` (a digit
    an answer), `nats` and `nats_of` stay with the row, so that rules can be compared in pairs.
    """
    tokens = sum(answer.tokens for answer in answers)
    row: Row = {
        "n": len(answers),
        "seconds": round(seconds, 2),
        "tokens_per_answer": round(tokens / len(answers), 2),
        "tokens_per_s": round(tokens / seconds, 2),
        **_ratio("repeated_trigrams", [(repeated_trigrams(a.text), 1) for a in answers]),
        **_share("ended", [answer.ended for answer in answers]),
    }
    pairs = list(zip(questions, answers, strict=True))
    judged = [q.judge(a.text) for q, a in pairs if q.judge is not None]
    if judged:
        row |= _share("score", judged)
        row["right"] = "".join(str(int(right)) for right in judged)
    short = [a.ended for q, a in pairs if q.kind == SHORT]
    if short:
        row |= _share("ended_short", short)
    counted = [(a.tokens, a.forwards) for a in answers if a.forwards]
    if counted:
        row |= _ratio("tokens_per_forward", counted)
    if any(answer.context_passes for answer in answers):
        row |= _ratio("context_passes", [(a.context_passes, a.forwards) for a in answers])
    if any(answer.drafted for answer in answers):
        row |= _ratio("accepted", [(a.accepted, a.drafted) for a in answers])
        row |= _ratio("verifier_passes", [(a.verifier_passes, a.forwards) for a in answers])
    if nll is not None and any(count for _, count in nll):
        row |= _ratio("nll", nll)
        row["nats"] = [round(nats, 2) for nats, _ in nll]
        row["nats_of"] = [count for _, count in nll]
    return row


def kept_answers(questions: Sequence[Question], answers: Sequence[Answer], count: int) -> list[Row]:
    """`count` answers word for word, evenly spaced: right and wrong ones, as they come."""
    pairs = list(zip(questions, answers, strict=True))
    kept: list[Row] = []
    for at in range(min(count, len(pairs))):
        question, answer = pairs[at * len(pairs) // min(count, len(pairs))]
        row: Row = {"kind": question.kind, "messages": [dict(m) for m in question.messages]}
        row |= {"answer": answer.text, "ended": answer.ended}
        if question.judge is not None:
            row["right"] = question.judge(answer.text)
        kept.append(row)
    return kept


def difference(one: Row, other: Row) -> tuple[float, float, float] | None:
    """`other` minus `one` on the same questions, with its interval: points, or nats per token.

    None where the two were not judged alike.
    """
    pairs = [_parts(one), _parts(other)]
    if not pairs[0] or len(pairs[0]) != len(pairs[1]):
        return None
    above, below = np.array(pairs, dtype=float).transpose(2, 0, 1)  # [2, N] each
    draws = np.random.default_rng(0).integers(above.shape[1], size=(_RESAMPLES, above.shape[1]))
    ratios = above[:, draws].sum(2) / np.maximum(below[:, draws].sum(2), 1e-9)  # [2, R]
    low, high = np.quantile(ratios[1] - ratios[0], (0.025, 0.975))
    whole = above.sum(1) / below.sum(1)
    return float(whole[1] - whole[0]), float(low), float(high)


def _parts(row: Row) -> list[tuple[float, float]]:
    """Each answer's part in the figure, above and below the line."""
    if "right" in row:
        return [(100.0 * int(right), 1.0) for right in row["right"]]
    return list(zip(row.get("nats", ()), row.get("nats_of", ()), strict=True))


def repeated_trigrams(text: str) -> float:
    """The share of runs of three words that the same answer has had before."""
    words = text.lower().split()
    runs = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def wilson(right: int, total: int) -> tuple[float, float]:
    """The score interval of a share; it stays within 0 and 1 and is never empty."""
    share, spread = right / total, _Z * _Z / total
    middle = share + spread / 2
    half = _Z * math.sqrt((share * (1 - share) + spread / 4) / total)
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def bootstrap(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The interval of a ratio of sums, by drawing the answers anew; the same every time."""
    above, below = np.array(parts, dtype=float).T
    draws = np.random.default_rng(0).integers(len(parts), size=(_RESAMPLES, len(parts)))
    ratios = above[draws].sum(1) / np.maximum(below[draws].sum(1), 1e-9)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(low), float(high)


def _share(name: str, hits: Sequence[bool]) -> Row:
    """A share in per cent with its interval."""
    low, high = wilson(sum(hits), len(hits))
    bounds = [round(100 * low, 1), round(100 * high, 1)]
    return {name: round(100 * sum(hits) / len(hits), 1), f"{name}_interval": bounds}


def _ratio(name: str, parts: Sequence[tuple[float, float]]) -> Row:
    low, high = bootstrap(parts)
    value = sum(a for a, _ in parts) / sum(b for _, b in parts)
    return {name: round(value, 3), f"{name}_interval": [round(low, 3), round(high, 3)]}
