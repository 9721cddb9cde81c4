"""Score a checkpoint by its decoded answers: `python -m training.smol.evaluate --checkpoint DIR`.

Everyday questions are judged by the base (nats per token of the answer, without a system turn),
tasks by their programs, facts by the words an answer must hold; the base's own greedy answers
stand beside them.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

import torch
from tokenizers import Tokenizer

from training.examples import Example, Group, Split
from training.smol import base as smol_base
from training.smol import drafter, exact
from training.smol.decode import CANVAS, RULES, Decoded, Rule, decode
from training.smol.facts import SUITES, Fact
from training.smol.network import Weights, hidden, logits_of, weights_of
from training.smol.sampler import GREEDY, Job, Sampler
from training.smol.sanity import repeated
from training.smol.vocabulary import END, END_OF_TEXT, chat, load_tokenizer
from training.tasks.wide import WIDE_TASKS

_Any = TypeVar("_Any")

SEED = 20_000
DUMPED = 50
QUESTIONS = (
    "What is photosynthesis?", "Write two sentences about the sea.", "Who are you?", "Hello!",
    "Why is the sky blue?", "Explain gravity to a child.", "Write a short poem about spring.",
    "List three fruits.", "What is Python?", "How do I make tea?", "Give me a tip for sleeping.",
    "Write an email to my teacher saying I am ill.", "What is the capital of France?",
    "Tell me a short story about a brave mouse.", "What is 7 + 5?", "How are you?",
    "What is the difference between a cat and a dog?", "Who was Albert Einstein?", "I feel sad.",
    "Summarize the story of Romeo and Juliet.", "Translate 'good morning' into French.",
    "What should I cook tonight?", "How does a car work?", "Name a famous painter.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt under the suite it is scored in, and what makes an answer right."""

    suite: str
    prompt: str
    example: Example | None = None
    fact: Fact | None = None

    def accepts(self, text: str) -> bool:
        """Whether an answer is right."""
        if self.fact is not None:
            return self.fact.accepts(text)
        return self.example is not None and self.example.accepts(text.strip())


def everyday(limit: int) -> list[Question]:
    """Return the published everyday questions, or a few of our own."""
    file = SUITES / "everyday.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    asked = [line for line in lines if line and not line.startswith("# ")] or list(QUESTIONS)
    return [Question("everyday", chat([(line, "")])) for line in _spread(asked, limit)]


def fact_questions(limit: int) -> list[Question]:
    """Return the published questions about facts; none if there is no such file."""
    file = SUITES / "facts.tsv"
    rows = [line.split("\t") for line in file.read_text().splitlines()] if file.exists() else []
    return [
        Question("facts", chat([(asked, "")]), fact=Fact(asked, tuple(right.split("|"))))
        for _, asked, right in _spread(rows, limit)
    ]


def task_questions(each: int) -> list[Question]:
    """Draw held-out examples of every task."""
    found = []
    for name, task in WIDE_TASKS.items():
        rng = Random(f"{SEED}/{name}")
        suite = "one" if task.group is Group.ONE else "many"
        for _ in range(each):
            example = task.draw(rng, Split.HELD_OUT)
            found.append(Question(suite, exact.render(example), example))
    return found


def _spread(items: Sequence[_Any], limit: int) -> list[_Any]:
    if limit >= len(items):
        return list(items)
    return [items[at * len(items) // limit] for at in range(limit)]


class Scorer:
    """Answers questions with one model and judges them with another."""

    def __init__(self, model: Weights, base: Weights, tokenizer: Tokenizer, batch: int) -> None:
        self.model, self.base, self.tokenizer, self.batch = model, base, tokenizer, batch

    def answer(self, questions: Sequence[Question], rule: Rule, canvas: int) -> list[Decoded]:
        """Decode all questions; batches hold prompts of similar length."""
        prompts = self._ids([question.prompt for question in questions])
        order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
        found: dict[int, Decoded] = {}
        for first in range(0, len(order), self.batch):
            part = order[first : first + self.batch]
            results = decode(self.model, self.base, [prompts[at] for at in part], rule, canvas)
            found |= dict(zip(part, results, strict=True))
        return [found[at] for at in range(len(questions))]

    def base_answers(self, questions: Sequence[Question], canvas: int) -> list[Decoded]:
        """Let the base answer, greedily."""
        prompts = self._ids([question.prompt for question in questions])
        longest = max(map(len, prompts)) + canvas
        sampler = Sampler(self.base, len(prompts), -(-longest // 8) * 8, [END])
        sampler.give([(row, Job(ids, False, GREEDY)) for row, ids in enumerate(prompts)])
        sampler.limit.copy_(torch.tensor([len(ids) for ids in prompts]) + canvas - 1)
        found: dict[int, Decoded] = {}
        while len(found) < len(prompts):
            sampler.launch()
            for row, written in sampler.collect():
                ids = written.tokens[written.start :]
                ids = ids[:-1] if written.ended else ids
                found[row] = Decoded(ids, len(ids) + 1, written.ended)
        return [found[row] for row in range(len(prompts))]

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return [e.ids for e in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    @torch.no_grad()
    def nats(self, questions: Sequence[Question], answers: Sequence[Decoded]) -> float:
        """Return the base's nats per token of the answers and their end of turn."""
        prompts = self._ids([question.prompt for question in questions])
        total, count = 0.0, 0
        for first in range(0, len(prompts), self.batch):
            part = slice(first, first + self.batch)
            rows = [(p, [*a.tokens, END]) for p, a in
                    zip(prompts[part], answers[part], strict=True)]  # fmt: skip
            longest = max(len(p) + len(a) for p, a in rows)
            x = torch.full((len(rows), longest), END_OF_TEXT)
            counted = torch.zeros(len(rows), longest, dtype=torch.bool)
            for at, (prompt, ids) in enumerate(rows):
                x[at, : len(prompt) + len(ids)] = torch.tensor([*prompt, *ids])
                counted[at, len(prompt) : len(prompt) + len(ids)] = True
            x, counted = x.to(self.base.embedding.device), counted.to(self.base.embedding.device)
            states = hidden(self.base, x, causal=True)[:, :-1][counted[:, 1:]]
            targets = x[:, 1:][counted[:, 1:]]
            for at in range(0, len(targets), 4096):
                logs = logits_of(self.base, states[at : at + 4096]).log_softmax(-1)
                some = targets[at : at + 4096]
                total -= logs.gather(1, some[:, None]).clamp_min(-30).sum().item()
            count += len(targets)
        return total / max(1, count)

    def judge(
        self, questions: Sequence[Question], answers: Sequence[Decoded]
    ) -> dict[str, dict[str, float]]:
        """Return a row of measures per suite."""
        rows: dict[str, dict[str, float]] = {}
        for suite in dict.fromkeys(question.suite for question in questions):
            pairs = [(q, a) for q, a in zip(questions, answers, strict=True) if q.suite == suite]
            tokens = sum(len(a.tokens) + 1 for _, a in pairs)
            row = {
                "n": len(pairs),
                "length": round(tokens / len(pairs), 1),
                "per_forward": round(tokens / sum(a.forwards for _, a in pairs), 2),
                "ended": round(100 * sum(a.ended for _, a in pairs) / len(pairs), 1),
                "repeated": round(sum(repeated(a.tokens) for _, a in pairs) / len(pairs), 3),
            }
            if suite == "everyday":
                row["nats"] = round(self.nats([q for q, _ in pairs], [a for _, a in pairs]), 3)
            else:
                right = sum(q.accepts(self.tokenizer.decode(a.tokens)) for q, a in pairs)
                row["right"] = round(100 * right / len(pairs), 1)
            rows[suite] = row
        return rows

    def by_task(
        self, questions: Sequence[Question], answers: Sequence[Decoded], each: int
    ) -> dict[str, float]:
        """Return the share of right answers of every task; questions lie in the tasks' order."""
        pairs = [(q, a) for q, a in zip(questions, answers, strict=True) if q.example is not None]
        return {
            name: round(100 * sum(q.accepts(self.tokenizer.decode(a.tokens))
                                  for q, a in pairs[at * each : (at + 1) * each]) / each, 1)
            for at, name in enumerate(WIDE_TASKS)
        }  # fmt: skip


def table(report: dict[str, dict[str, dict[str, float]]]) -> str:
    """Write all rows as aligned text."""
    lines = [f"{'rule':14} {'suite':9} {'right':>6} {'nats':>6} {'t/fwd':>6} {'length':>6} "
             f"{'ended':>6} {'repeat':>6}"]  # fmt: skip
    for rule, rows in report.items():
        for suite, row in rows.items():
            lines.append(
                f"{rule:14} {suite:9} {row.get('right', '-'):>6} {row.get('nats', '-'):>6} "
                f"{row['per_forward']:>6} {row['length']:>6} {row['ended']:>6} {row['repeated']:>6}"
            )
    return "\n".join(lines)


def evaluate(options: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    begun = time.monotonic()
    path = smol_base.locate(options.base)
    tokenizer = load_tokenizer(path)
    base = smol_base.read(path).to(options.device)
    on_gpu = options.device.startswith("cuda")
    compute = torch.bfloat16 if on_gpu else torch.float32
    tensors = drafter.read(options.checkpoint)
    scorer = Scorer(
        drafter.merged_weights(base, tensors, compute), weights_of(base, compute), tokenizer,
        options.batch,
    )  # fmt: skip
    questions = [*everyday(options.everyday), *fact_questions(options.facts),
                 *task_questions(options.tasks)]  # fmt: skip
    report: dict[str, dict[str, dict[str, float]]] = {}
    tasks: dict[str, dict[str, float]] = {}
    samples: dict[str, list[dict[str, str]]] = {}
    chosen = [rule for rule in RULES if rule.name in options.rules]
    asked = questions
    for name in (
        ["base", *(rule.name for rule in chosen)]
        if options.with_base
        else [rule.name for rule in chosen]
    ):
        if name == "base":
            answers = scorer.base_answers(asked, options.canvas)
        else:
            rule = next(rule for rule in chosen if rule.name == name)
            answers = scorer.answer(asked, rule, options.canvas)
        report[name] = scorer.judge(asked, answers)
        if options.tasks:
            tasks[name] = scorer.by_task(asked, answers, options.tasks)
        samples[name] = [
            {"prompt": q.prompt, "answer": tokenizer.decode(a.tokens)}
            for q, a in _spread(list(zip(asked, answers, strict=True)), DUMPED)
        ]
        print(json.dumps({"rule": name, "seconds": round(time.monotonic() - begun, 1)}), flush=True)
    print(table(report), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(
        {"rules": report, "tasks": tasks, "samples": samples, "canvas": options.canvas,
         "seconds": round(time.monotonic() - begun, 1), "device": options.device},
        indent=1, ensure_ascii=False) + "\n")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    parser.add_argument("--base", type=Path, help="GGUF file of the base")
    parser.add_argument("--everyday", type=int, default=200, help="questions")
    parser.add_argument("--facts", type=int, default=300, help="questions")
    parser.add_argument("--tasks", type=int, default=6, help="prompts of each exact task")
    parser.add_argument("--rules", nargs="+", default=[rule.name for rule in RULES])
    parser.add_argument("--with-base", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--canvas", type=int, default=CANVAS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    evaluate(parser.parse_args())


if __name__ == "__main__":
    main()
