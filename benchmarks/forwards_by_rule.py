"""Forwards, tokens per forward and exact match by decoding rule and cache, on held-out prompts.

    python -m benchmarks.forwards_by_rule

`unique` are tasks with one right text; of the others (choose, shuffle, invent) a checker decides.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.prompts import Case, held_out
from benchmarks.report import Report
from dfastllm.core import CacheKind, DecodingParams, StrategyName
from dfastllm.llm import LLM, Completion

CANVAS, BLOCK = 96, 32
MODEL = "builtin:tiny"


def rules() -> dict[str, DecodingParams]:
    """Every rule by name, without a cache, and three of them with each cache."""
    found: dict[str, DecodingParams] = {}
    for per_step in (1, 2, 4, 8):
        steps = CANVAS // per_step
        found[f"fixed {per_step}"] = DecodingParams(StrategyName.FIXED, BLOCK, steps)
    for threshold in (0.95, 0.9, 0.7, 0.5):
        name = f"threshold {threshold}"
        found[name] = DecodingParams(StrategyName.THRESHOLD, BLOCK, threshold=threshold)
    for factor in (1.0, 0.5):
        found[f"factor {factor}"] = DecodingParams(StrategyName.FACTOR, BLOCK, factor=factor)
    for name in ("fixed 1", "threshold 0.9", "factor 1.0"):
        for cache in (CacheKind.PREFIX, CacheKind.DUAL):
            found[f"{name} {cache} cache"] = replace(found[name], cache=cache)
    return found


def _row(seconds: float, cases: Sequence[Case], answers: Sequence[Completion]) -> dict[str, Any]:
    forwards = sum(a.stats.forward_passes for a in answers)
    tokens = sum(a.stats.completion_tokens for a in answers)
    right = [case.example.accepts(a.text) for case, a in zip(cases, answers, strict=True)]
    unique = [ok for case, ok in zip(cases, right, strict=True) if case.unique]
    free = [ok for case, ok in zip(cases, right, strict=True) if not case.unique]
    return {
        "forwards_per_answer": round(forwards / len(answers), 3),
        "tokens_per_forward": round(tokens / forwards, 3),
        "exact_match": round(100 * sum(right) / len(right), 1),
        "exact_match_unique": round(100 * sum(unique) / len(unique), 1),
        "exact_match_other": round(100 * sum(free) / len(free), 1),
        "seconds": round(seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-task", type=int, default=4)
    parser.add_argument("--threads", type=int, help="compute threads")
    options = parser.parse_args()
    cases = held_out(options.per_task)
    llm = LLM(MODEL, max_running_requests=16, num_threads=options.threads)
    prompts = [llm.tokenizer.encode_chat(case.messages) for case in cases]
    parameters = {**vars(options), "prompts": len(cases), "canvas": CANVAS, "block": BLOCK}
    report = Report("forwards_by_rule", **parameters, model=MODEL)
    results = {}
    for name, decoding in rules().items():
        began = time.perf_counter()
        answers = llm.generate(prompts, max_tokens=CANVAS, decoding=decoding)
        results[name] = _row(time.perf_counter() - began, cases, answers)
        print(name, json.dumps(results[name]), flush=True)
    print(report.write(results=results))


if __name__ == "__main__":
    main()
