"""Score a checkpoint on held-out contents: `python -m training.evaluate --checkpoint DIR`."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer

from training import checkpoint
from training.chat import in_conversation, one_answer_names, render
from training.decode import BLOCK, CANVAS, RULES, Decoded, Rule, decode
from training.examples import Checker, Example, Group, Split
from training.network import Network
from training.tasks.foreign import REPLY
from training.tasks.registry import TASKS, mix
from training.vocabulary import load

FOREIGN_FILE = Path(__file__).with_name("foreign_heldout.txt")
NEWCOMER_FILE = Path(__file__).with_name("newcomer.tsv")
RESULTS = Path(__file__).with_name("results")
SEED = 20_000
MISSES_KEPT = 8


@dataclass(frozen=True, slots=True)
class Case:
    """An example under the name it is scored by."""

    name: str
    example: Example


def held_out_cases(limit: int) -> list[Case]:
    """Draw held-out examples of every task, and one-answer tasks inside conversations."""
    cases = []
    for name, task in TASKS.items():
        rng = Random(f"{SEED}/{name}")
        cases += [Case(name, task.draw(rng, Split.HELD_OUT)) for _ in range(limit)]
    rng = Random(f"{SEED}/conversation")
    shares = mix()
    names, weights = list(shares), list(shares.values())
    single = one_answer_names()
    while sum(case.name == "in_conversation" for case in cases) < 2 * limit:
        example = TASKS[rng.choice(single)].draw(rng, Split.HELD_OUT)
        placed = in_conversation(rng, example, names, weights)
        if placed.system or len(placed.history) > len(example.history):
            cases.append(Case("in_conversation", placed))
    return cases


def all_cases(limit: int) -> list[Case]:
    """Return what a checkpoint is scored on; with a low limit few of the hand-written prompts."""
    written = (*foreign_cases(), *newcomer_cases())
    return [*held_out_cases(limit), *written[:: max(1, 20 // limit)]]


def foreign_cases() -> list[Case]:
    """Read prompts that people wrote by hand and no generator knows."""
    lines = FOREIGN_FILE.read_text().splitlines() if FOREIGN_FILE.exists() else []
    return [Case("foreign_handwritten", Example(line, REPLY)) for line in lines if line]


def newcomer_cases() -> list[Case]:
    """Read what a newcomer may try first; an answer must contain the second column."""
    lines = NEWCOMER_FILE.read_text().splitlines() if NEWCOMER_FILE.exists() else []
    pairs = [line.split("\t") for line in lines if "\t" in line]
    return [
        Case("newcomer", Example(prompt, part, check=_contains(part))) for prompt, part in pairs
    ]


def _contains(part: str) -> Checker:
    return lambda text: part in text


def answer(
    network: Network, tokenizer: Tokenizer, cases: Sequence[Case], rule: Rule, batch: int
) -> list[Decoded]:
    """Decode all cases by one rule."""
    return in_batches(tokenizer, cases, batch, lambda prompts: decode(network, prompts, rule))


def in_batches(
    tokenizer: Tokenizer,
    cases: Sequence[Case],
    batch: int,
    decoder: Callable[[list[list[int]]], list[Decoded]],
) -> list[Decoded]:
    """Decode all cases; batches hold prompts of similar length."""
    texts = [render(case.example) for case in cases]
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    prompts = [encoding.ids for encoding in encoded]
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    found: dict[int, Decoded] = {}
    for first in range(0, len(order), batch):
        part = order[first : first + batch]
        results = decoder([prompts[at] for at in part])
        found |= dict(zip(part, results, strict=True))
    return [found[at] for at in range(len(cases))]


def score(
    tokenizer: Tokenizer, cases: Sequence[Case], answers: Sequence[Decoded]
) -> tuple[dict[str, dict[str, float]], list[dict[str, str]]]:
    """Return per name the share of right answers, tokens and forwards; and some wrong answers."""
    rows: dict[str, dict[str, float]] = {}
    misses: list[dict[str, str]] = []
    misses_of: Counter[str] = Counter()
    for case, decoded in zip(cases, answers, strict=True):
        row = rows.setdefault(case.name, dict.fromkeys(("n", "em", "tokens", "forwards"), 0))
        text = tokenizer.decode(decoded.tokens)
        right = case.example.accepts(text)
        row["n"] += 1
        row["em"] += right
        row["tokens"] += len(decoded.tokens) + 1
        row["forwards"] += decoded.forwards
        if not right and misses_of[case.name] < MISSES_KEPT:
            misses_of[case.name] += 1
            misses.append({"task": case.name, "prompt": case.example.prompt, "got": text,
                           "wanted": case.example.answer})  # fmt: skip
    for row in rows.values():
        row["em"] = round(100 * row["em"] / row["n"], 1)
    return rows, misses


def summarise(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return macro exact match and pooled tokens per forward of each group."""
    summary: dict[str, float] = {}
    for group in Group:
        members = [rows[name] for name, task in TASKS.items() if task.group is group]
        summary[f"em_{group}"] = round(sum(row["em"] for row in members) / len(members), 2)
        tokens, forwards = (sum(row[key] for row in members) for key in ("tokens", "forwards"))
        summary[f"tpf_{group}"] = round(tokens / forwards, 2)
    for name in ("in_conversation", "foreign_handwritten", "newcomer"):
        if name in rows:
            summary[f"em_{name}"] = rows[name]["em"]
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS / "heldout.json")
    parser.add_argument("--limit", type=int, default=80, help="prompts per task")
    parser.add_argument("--rules", nargs="+", default=[rule.name for rule in RULES])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    begun = time.monotonic()
    network = Network().to(options.device)
    tensors, progress = checkpoint.read(options.checkpoint)
    checkpoint.load_network(network, tensors)
    # What is scored is what is published: weights rounded to float16, float32 arithmetic.
    network.half().float()
    tokenizer = load()
    cases = all_cases(options.limit)
    batch = 512 if options.device.startswith("cuda") else 24
    report: dict[str, object] = {"progress": asdict(progress), "canvas": CANVAS, "block": BLOCK,
                                 "limit": options.limit, "seed": SEED}  # fmt: skip
    for rule in (rule for rule in RULES if rule.name in options.rules):
        answers = answer(network, tokenizer, cases, rule, batch)
        rows, misses = score(tokenizer, cases, answers)
        report[rule.name] = {"summary": summarise(rows), "tasks": rows, "misses": misses}
        print(json.dumps({rule.name: summarise(rows)}), flush=True)
        print(" ".join(f"{name}={row['em']:g}" for name, row in rows.items()), flush=True)
    report["seconds"] = round(time.monotonic() - begun, 1)
    report["device"] = options.device
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
