"""LLaDA's published loop against our engine, one request at a time, on the same weights.

    python -m benchmarks.reference_loop

The loop follows `generate()` of the LLaDA repository: every step is a forward over the whole
canvas, nothing is cached, and no block or answer ends early; the best-ranked masks of the active
block are committed by low-confidence remasking. Both use this package's transformer, so what
differs is the loop alone.
"""

import argparse
import json
import time
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks.prompts import held_out
from benchmarks.report import Report
from dfastllm.cache.policy import Feed
from dfastllm.core import DecodingParams, StrategyName
from dfastllm.llm import LLM
from dfastllm.models.batch import Segment, pack
from dfastllm.models.checkpoint import load_model
from dfastllm.models.source import resolve_model
from dfastllm.models.transformer import Transformer

CANVAS, BLOCK = 96, 32
MODEL = "builtin:tiny"
# name -> denoising steps of the whole canvas
SCHEDULES = {"one_token_per_step": 96, "four_tokens_per_step": 24}


@torch.inference_mode()
def published_loop(model: Transformer, prompt: list[int], steps: int) -> tuple[list[int], int]:
    """The canvas after LLaDA's loop at temperature 0, and the forwards it took."""
    mask = model.spec.mask_id
    tokens = np.array(prompt + [mask] * CANVAS, dtype=np.int64)
    length, first = len(tokens), len(prompt)
    feed = Feed(0, length, length, refresh=True, store=False)
    blocks = CANVAS // BLOCK
    for block in range(blocks):
        start, end = first + block * BLOCK, first + (block + 1) * BLOCK
        for quota in _quotas(BLOCK, steps // blocks):
            segment = Segment(tokens, feed, np.arange(first, length))
            logits = model(pack([segment], torch.device("cpu")))  # [CANVAS, V]
            token = logits.argmax(-1)
            confidence = logits.double().softmax(-1).gather(-1, token[:, None])[:, 0]
            open_ = torch.from_numpy(tokens[first:] == mask)
            place = torch.arange(first, length)
            confidence[~open_ | (place < start) | (place >= end)] = -torch.inf
            best = confidence.topk(quota).indices
            tokens[first + best.numpy()] = token[best].numpy()
    return tokens[first:].tolist(), steps


def _quotas(masks: int, steps: int) -> list[int]:
    base, extra = divmod(masks, steps)
    return [base + (step < extra) for step in range(steps)]


def _text(llm: LLM, canvas: list[int]) -> str:
    """The answer in a canvas: up to the first end-of-turn token."""
    ends = [at for at, token in enumerate(canvas) if token in llm.engine.spec.eos_ids]
    return llm.tokenizer.decode(canvas[: ends[0]] if ends else canvas)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--threads", type=int, help="compute threads")
    options = parser.parse_args()
    cases = held_out(1)[: options.prompts]
    llm = LLM(MODEL, max_running_requests=1, num_threads=options.threads)
    model = load_model(resolve_model(MODEL).directory, device=torch.device("cpu"))
    prompts = [llm.tokenizer.encode_chat(case.messages) for case in cases]
    published_loop(model, prompts[0], 24)
    llm.generate([prompts[0]], max_tokens=CANVAS)
    report = Report("reference_loop", **vars(options), canvas=CANVAS, block=BLOCK, model=MODEL)
    results: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    for name, steps in SCHEDULES.items():
        began = time.perf_counter()
        runs = [published_loop(model, prompt, steps) for prompt in prompts]
        texts[name] = [_text(llm, canvas) for canvas, _ in runs]
        results[f"published_{name}"] = _row(
            time.perf_counter() - began, [n for _, n in runs], texts[name], cases
        )
    rules = {name: DecodingParams(StrategyName.FIXED, BLOCK, n) for name, n in SCHEDULES.items()}
    for name, decoding in [*rules.items(), ("default_rule", llm.defaults.decoding)]:
        began = time.perf_counter()
        answers = [
            llm.generate([p], max_tokens=CANVAS, decoding=decoding)[0] for p in prompts
        ]  # one at a time, as the loop does
        row = _row(
            time.perf_counter() - began,
            [a.stats.forward_passes for a in answers],
            [a.text for a in answers],
            cases,
        )
        same = texts.get(name, texts["one_token_per_step"])
        row["equal_answers"] = sum(a.text == b for a, b in zip(answers, same, strict=True))
        slow = results[f"published_{name if name in texts else 'one_token_per_step'}"]
        row["times_faster"] = round(slow["seconds_per_answer"] / row["seconds_per_answer"], 2)
        results[f"engine_{name}"] = row
    path = report.write(results=results)
    print(json.dumps(results, indent=1))
    print(path)


def _row(seconds: float, forwards: list[int], texts: list[str], cases: list[Any]) -> dict[str, Any]:
    right = [case.example.accepts(text) for case, text in zip(cases, texts, strict=True)]
    return {
        "answers": len(texts),
        "seconds_per_answer": round(seconds / len(texts), 4),
        "forwards_per_answer": round(mean(forwards), 2),
        "ms_per_forward": round(1000 * seconds / sum(forwards), 3),
        "right": sum(right),
    }


if __name__ == "__main__":
    main()
