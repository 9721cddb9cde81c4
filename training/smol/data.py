"""Let the base write conversations: `python -m training.smol.data --seconds 200 --out FILE`.

`FILE.0.npz`, `FILE.1.npz`, … hold token ids; `FILE.txt` a few of them to read.
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer

from training.smol import base as smol_base
from training.smol import conversations, facts, prompts, sanity
from training.smol.conversations import Kind
from training.smol.network import weights_of
from training.smol.sampler import GREEDY, Job, Sampler, Written
from training.smol.vocabulary import END, chat, load_tokenizer, turn

LENGTH = 256
FACT_SHARE = 0.12
EVERYDAY_SHARE = 0.30
OPENER_SHARE = 0.75  # of the rest
SHORT_SHARE = 0.55  # a hidden system prompt asks for a short answer
SYSTEM_SHARE = 0.10  # a system prompt stays
FOLLOW_SHARE = 0.15  # the user asks on
FOLLOW_WITHIN = 120  # tokens


@dataclass(frozen=True, slots=True)
class Label:
    """What a job is about: the fact asked for, and how often the user has asked on."""

    kind: Kind
    fact: facts.Fact | None = None


class Writer:
    """Hands out jobs and keeps what is worth learning."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.tokenizer = tokenizer
        self.rng = Random(seed)
        self.kept_out = facts.suite_questions()
        self.facts = facts.all_facts(self.kept_out)
        self.suffix = self.ids("\n<|im_start|>assistant\n")
        self.between = self.ids("\n<|im_start|>user\n")
        self.rows: list[tuple[list[int], int, Kind]] = []
        self.users: Counter[str] = Counter()
        self.pairs: set[str] = set()
        self.refused: Counter[str] = Counter()

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def job(self) -> Job:
        """Return new work for a row."""
        rng = self.rng
        luck = rng.random()
        if luck < FACT_SHARE:
            fact = facts.draw(rng, self.facts)
            hidden = turn("system", rng.choice(prompts.SHORT)) if rng.random() < 0.5 else ""
            return Job(self.ids(hidden + chat([(fact.question, "")])), False, GREEDY,
                       len(self.ids(hidden)), Label(Kind.FACT, fact))  # fmt: skip
        system, hides = self._system()
        label = Label(Kind.TEXT)
        hidden_size = len(self.ids(system)) if hides else 0
        if luck < FACT_SHARE + EVERYDAY_SHARE:
            text = system + chat([(prompts.everyday(rng), "")])
            return Job(self.ids(text), False, hidden=hidden_size, label=label)
        text = system + "<|im_start|>user\n"
        if rng.random() < OPENER_SHARE:
            text += prompts.opener(rng)
        return Job(self.ids(text), True, hidden=hidden_size, label=label)

    def _system(self) -> tuple[str, bool]:
        """Return a system turn, or none, and whether training leaves it out."""
        luck = self.rng.random()
        if luck < SHORT_SHARE:
            return turn("system", self.rng.choice(prompts.SHORT)), True
        if luck < SHORT_SHARE + SYSTEM_SHARE:
            return turn("system", self.rng.choice(prompts.SYSTEM)), False
        return "", False

    def next_turn(self, written: Written) -> Job | None:
        """Return the job of a row whose user asks on, or None; quick, for the device waits."""
        job = written.job
        if (
            not written.ended
            or label_of(job).kind is not Kind.TEXT
            or len(written.tokens) > FOLLOW_WITHIN
            or self.rng.random() >= FOLLOW_SHARE
        ):
            return None
        asked = self.rng.choice(prompts.FOLLOW_UPS) if self.rng.random() < 0.6 else ""
        whole = asked[-1:] in (".", "?")
        given = written.tokens + self.between + self.ids(asked)
        if whole:
            given += [END, *self.suffix]
        return Job(given, not whole, job.taste, job.hidden, job.label)

    def take(self, written: Written) -> None:
        """Keep a finished row if it is worth learning."""
        label = label_of(written.job)
        tokens, start = written.tokens, written.start
        answer = self.tokenizer.decode(tokens[start:-1] if written.ended else tokens[start:])
        if not written.ended:  # more than half are: what was said so far is worth learning
            answer = sanity.whole_sentences(answer)
            if not answer:
                return self._refuse("endless")
            tokens = [*tokens[:start], *self.ids(answer), END]
        answer_ids = tokens[start:-1]
        before = self.tokenizer.decode(tokens[:start], skip_special_tokens=False)
        user = before.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        plain = facts.plain(user)
        if plain in self.kept_out:
            return self._refuse("suite")
        if label.fact is not None:
            if not label.fact.accepts(answer) or len(answer_ids) > 64:
                return self._refuse("wrong")
        elif self.users[plain] >= sanity.MOST_SAME * (5 if len(plain.split()) < 9 else 1):
            return self._refuse("same question")
        if not sanity.is_worth_learning(user, answer, answer_ids):
            return self._refuse("poor")
        pair = f"{before}{answer}"
        if pair in self.pairs:
            return self._refuse("same")
        self.pairs.add(pair)
        self.users[plain] += 1
        hidden = written.job.hidden
        self.rows.append((tokens[hidden:], start - hidden, label.kind))
        return None

    def _refuse(self, reason: str) -> None:
        self.refused[reason] += 1


def label_of(job: Job) -> Label:
    assert isinstance(job.label, Label)
    return job.label


def write(sampler: Sampler, writer: Writer, seconds: float) -> None:
    """Sample for this long; judging and preparing happen while the device is busy."""
    sampler.give([(row, writer.job()) for row in range(sampler.rows)])
    sampler.launch()
    ready = [writer.job() for _ in range(sampler.rows)]
    begun, said, tokens = time.monotonic(), 0.0, 0
    while (spent := time.monotonic() - begun) < seconds:
        ended = sampler.collect()
        fresh: list[tuple[int, Job]] = []
        going_on: list[tuple[int, Job]] = []
        for row, written in ended:
            further = writer.next_turn(written)
            if further is None:
                fresh.append((row, ready.pop() if ready else writer.job()))
            else:
                going_on.append((row, further))
        sampler.give(fresh)
        sampler.give(going_on, keep=True)
        sampler.launch()
        for _, written in ended:
            tokens += len(written.tokens)
            writer.take(written)
        ready += [writer.job() for _ in range(sampler.rows - len(ready))]
        if spent - said > 20:
            said = spent
            print(json.dumps({"seconds": round(spent), "kept": len(writer.rows),
                              "tokens_per_s": round(tokens / spent),
                              "refused": dict(writer.refused)}), flush=True)  # fmt: skip


def sample(options: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    begun = time.monotonic()
    path = smol_base.locate(options.base)
    tokenizer = load_tokenizer(path)
    device = torch.device(options.device)
    torch.manual_seed(options.seed)
    on_gpu = device.type == "cuda"
    weights = weights_of(
        smol_base.read(path).to(device), torch.bfloat16 if on_gpu else torch.float32
    )
    writer = Writer(tokenizer, options.seed)
    sampler = Sampler(weights, options.rows, LENGTH, writer.suffix)
    if on_gpu and options.graph:
        sampler.capture()
    print(json.dumps({"event": "ready", "seconds": round(time.monotonic() - begun, 1)}), flush=True)
    write(sampler, writer, options.seconds)
    writer.rng.shuffle(writer.rows)
    files = conversations.save(conversations.collect(writer.rows), options.out)
    texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids, _, _ in writer.rows[:300]]
    options.out.with_name(options.out.name + ".txt").write_text("\n\n".join(texts))
    kinds = Counter(kind.name for _, _, kind in writer.rows)
    count = len(writer.rows)
    print(json.dumps({
        "event": "written", "rows": count, "kinds": dict(kinds), "refused": dict(writer.refused),
        "tokens": round(sum(len(ids) for ids, _, _ in writer.rows) / max(1, count), 1),
        "answer": round(sum(len(ids) - at for ids, at, _ in writer.rows) / max(1, count), 1),
        "files": {file.name: file.stat().st_size for file in files},
        "seconds": round(time.monotonic() - begun, 1),
    }), flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=200.0, help="of sampling")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=3072, help="conversations at a time")
    parser.add_argument("--graph", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--base", type=Path, help="GGUF file of the base")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    sample(parser.parse_args())


if __name__ == "__main__":
    main()
