"""Small raw results in the form that the harness and the reader benchmark write."""

from typing import Any

from benchmarks.quality_measures import Row, kept_answers, measure
from benchmarks.quality_partners import Answer
from benchmarks.quality_suites import SHORT, Question, Suite

QUESTIONS = 4
CONTENTS = f"{1:012x}"  # the hash of the model that was asked
CHECKPOINT = f"preview-{2:08x}-{CONTENTS}"


def row(suite: Suite, *, right: str, forwards: int, nats: float = 2.0, ended: bool = True) -> Row:
    """Four answers of eight tokens; `right` says which are (a digit each)."""
    free = suite is Suite.EVERYDAY
    questions = [
        Question(
            SHORT if free else f"kind {at}",
            [{"role": "user", "content": f"question {at}"}],
            None if free else lambda text: text.startswith("right"),
        )
        for at in range(QUESTIONS)
    ]
    answers = [
        Answer(f"{'right' if digit == '1' else 'false'} ``` {suite} {at}", 8, forwards, ended,
               verifier_passes=forwards, drafted=8, accepted=6, context_passes=forwards // 2)
        for at, digit in enumerate(right)
    ]  # fmt: skip
    nll = [(nats, 4)] * QUESTIONS if free else None
    kinds = {
        question.kind: {"n": 1, "right": int(digit), "tokens": 8, "forwards": forwards}
        for question, digit in zip(questions, right, strict=True)
    }
    kept = kept_answers(questions, answers, QUESTIONS)
    return {
        **measure(questions, answers, 2.0, nll),
        "kinds": kinds,
        "answers": kept,
        "device": "cpu",
    }


def quality(model: str, checkpoint: str, results: dict[str, Any]) -> dict[str, Any]:
    asked = {"model": model, "dtype": "bfloat16", "rows": 8, "verifier": None}
    asked["checkpoint"] = checkpoint
    report = {"date": "2026-11-28T10:00:00+00:00", "versions": {"torch": "2.11"}}
    return {**report, "parameters": asked, "results": results}


def smol() -> dict[str, Any]:
    """One token a step is good; four ruin what is free to choose; APD is fast and no worse."""
    plain = {
        Suite.EVERYDAY: row(Suite.EVERYDAY, right="1111", forwards=8, nats=5.2),
        Suite.FACTS: row(Suite.FACTS, right="1100", forwards=8),
        Suite.ONE: row(Suite.ONE, right="1111", forwards=8),
        Suite.MANY: row(Suite.MANY, right="1110", forwards=8),
    }
    drafted = {
        Suite.EVERYDAY: row(Suite.EVERYDAY, right="1111", forwards=2, nats=4.0),
        Suite.ONE: row(Suite.ONE, right="1111", forwards=1),
        Suite.MANY: row(Suite.MANY, right="1100", forwards=4),
    }
    four = {Suite.MANY: row(Suite.MANY, right="1000", forwards=2)}
    results = {"default": plain, "fixed 1": plain, "fixed 4": four, "apd 0.5": drafted}
    return quality("preview-1", CHECKPOINT, results)


def base() -> dict[str, Any]:
    rows = {
        Suite.EVERYDAY: row(Suite.EVERYDAY, right="1111", forwards=8, nats=2.4, ended=False),
        Suite.FACTS: row(Suite.FACTS, right="1101", forwards=8),
    }
    return quality("causal:builtin:smol-base", f"base-{3:012x}", {"default": rows})


def reader(base_speed: float) -> dict[str, Any]:
    """A machine on which APD writes 40 tokens a second, and one token a step 16."""

    def spoken(speed: float | None, tokens: float) -> dict[str, Any]:
        return {"tokens_per_s": speed, "tokens_per_forward": tokens, "first_text_s": {"p50": 0.5}}

    one = {"default": spoken(40, 4), "apd": spoken(40, 4), "one token a step": spoken(16, 1),
           "preset fast": spoken(None, 0)}  # fmt: skip
    base = {"tokens_per_s": base_speed, "tokens_per_forward": 1, "first_text_s": 0.1}
    alone = {"threads": 2, "dtype": "bfloat16", "base alone, cached": base}
    return {
        "hardware": {"cpu": "A CPU"},
        "parameters": {"model": "builtin:smol", "checkpoint": f"smol-{CONTENTS}"},
        "results": {"server": {"one": one}, "alone": alone},
    }
