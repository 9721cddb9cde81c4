"""Score the verifier alone: `python -m training.verifier.evaluate --checkpoint DIR`.

It answers the drafter's held-out prompts by itself, the most probable token at a time.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch

from training.decode import CANVAS, Decoded
from training.evaluate import RESULTS, SEED, all_cases, in_batches, score, summarise
from training.network import Network
from training.verifier.layout import read
from training.vocabulary import EOS, EOT, MASK, load

RULE = "next_token"


@torch.no_grad()
def decode(network: Network, prompts: list[list[int]]) -> list[Decoded]:
    """Write one batch from left to right; what stands right of a row's end is never read."""
    device = next(network.parameters()).device
    rows = [p + [EOS] * (max(map(len, prompts)) + CANVAS - len(p)) for p in prompts]
    x = torch.tensor(rows, device=device)  # [B, P + C]
    starts = torch.tensor([len(p) for p in prompts], device=device)
    running = torch.arange(len(prompts), device=device)
    for at in range(CANVAS):
        places = starts[running] + at
        logits = network(x[running, : int(places.max())])
        last = logits[torch.arange(len(running), device=device), places - 1].float()  # [R, V]
        last[:, MASK] = -torch.inf
        token = last.argmax(-1)
        x[running, places] = token
        running = running[(token != EOS) & (token != EOT)]
        if not len(running):
            break
    answers = (row[start:] for row, start in zip(x.tolist(), starts.tolist(), strict=True))
    texts = [_text(answer) for answer in answers]
    return [Decoded(text, min(len(text) + 1, CANVAS)) for text in texts]


def _text(answer: list[int]) -> list[int]:
    ends = [at for at, token in enumerate(answer) if token in (EOS, EOT)]
    return answer[: min([*ends, CANVAS])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS / "verifier.json")
    parser.add_argument("--limit", type=int, default=80, help="prompts per task")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    begun = time.monotonic()
    network, progress = read(options.checkpoint)
    network.to(options.device)
    tokenizer, cases = load(), all_cases(options.limit)
    batch = 512 if options.device.startswith("cuda") else 24
    answers = in_batches(tokenizer, cases, batch, lambda prompts: decode(network, prompts))
    rows, misses = score(tokenizer, cases, answers)
    summary = summarise(rows)
    print(json.dumps(summary), flush=True)
    print(" ".join(f"{name}={row['em']:g}" for name, row in rows.items()), flush=True)
    report = {"progress": asdict(progress), "canvas": CANVAS, "limit": options.limit, "seed": SEED,
              RULE: {"summary": summary, "tasks": rows, "misses": misses},
              "seconds": round(time.monotonic() - begun, 1), "device": options.device}  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
