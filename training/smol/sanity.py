"""What the base wrote that is not worth learning: loops, foreign letters, endless lists."""

import re
from collections import Counter

LOOPS = 0.06  # most share of repeated token trigrams in an answer
SHORTEST = 60  # characters of an answer that was cut
MOST_SAME = 3  # of one user turn


def repeated(tokens: list[int]) -> float:
    """Return the share of trigrams that occurred before."""
    trigrams = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0


def is_english(text: str) -> bool:
    """Whether the text is made of ordinary letters and of words of ordinary length."""
    words = text.split()
    if not words or sum(ord(letter) < 128 for letter in text) < 0.97 * len(text):
        return False
    return len(text) / len(words) < 12 and not any(len(word) > 30 for word in words)


def repeats_a_line(text: str) -> bool:
    """Whether a line, or an item of a list, stands there twice."""
    lines = [line.strip(" *-0123456789.):").lower() for line in text.splitlines()]
    counts = Counter(line for line in lines if len(line.split()) > 1)
    return any(count > 1 for count in counts.values())


def whole_sentences(text: str) -> str:
    """Cut an answer that never ended behind its last paragraph or sentence; empty if none ended."""
    paragraph = text.rfind("\n\n")
    if paragraph >= SHORTEST and text[:paragraph].rstrip()[-1:] in ".!?":
        return text[:paragraph].rstrip()
    ends = [found.end() for found in re.finditer(r"(?<!\d)[.!?](?=\s)", text)]
    return text[: ends[-1]] if ends and ends[-1] >= SHORTEST else ""


def is_worth_learning(user: str, answer: str, tokens: list[int]) -> bool:
    """Judge one exchange; `tokens` are the answer's."""
    if not user.split() or len(tokens) < 2 or user.strip() == answer.strip():
        return False
    if repeated(tokens) > LOOPS or repeats_a_line(answer):
        return False
    return is_english(user) and is_english(answer)
