"""Batched semi-autoregressive decoding, for scoring checkpoints without the server."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.network import Network
from training.vocabulary import EOS, EOT, MASK

CANVAS = 96
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Rule:
    """Which masked positions of the active block a forward commits.

    All whose confidence reaches `threshold`, and at least the best `count`, filler ranked last.
    """

    name: str
    count: int = 1
    threshold: float = 2.0


RULES = (Rule("k1"), Rule("threshold_0.9", threshold=0.9))


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer: its tokens without end marks, and how many forwards it took."""

    tokens: list[int]
    forwards: int


@torch.no_grad()
def decode(network: Network, prompts: list[list[int]], rule: Rule) -> list[Decoded]:
    """Decode one batch; prompts are padded on the left and the padding is never attended to."""
    device = next(network.parameters()).device
    longest = max(map(len, prompts))
    rows = [[EOS] * (longest - len(p)) + p + [MASK] * CANVAS for p in prompts]
    x = torch.tensor(rows, device=device)  # [B, P + C]
    lengths = torch.tensor([len(p) for p in prompts], device=device)
    valid = torch.arange(x.shape[1], device=device) >= longest - lengths[:, None]
    forwards = torch.zeros(len(prompts), dtype=torch.long, device=device)
    while True:
        running = (x[:, longest:] == MASK).any(1).nonzero()[:, 0]
        if not len(running):
            break
        logits = network(x[running], valid[running])[:, longest:]
        x[running, longest:] = _commit(x[running, longest:], logits, rule)
        forwards[running] += 1
    return [
        Decoded(_text(answer), count)
        for answer, count in zip(x[:, longest:].tolist(), forwards.tolist(), strict=True)
    ]


def _commit(canvas: Tensor, logits: Tensor, rule: Rule) -> Tensor:
    """Fill positions of each row's first unfinished block, then everything right of the end."""
    place = torch.arange(CANVAS, device=canvas.device)
    open_ = canvas == MASK  # [B, C]
    active = open_ & (place // BLOCK == open_.int().argmax(1, keepdim=True) // BLOCK)
    logits = logits.float()
    logits[..., MASK] = -torch.inf
    confidence, choice = logits.softmax(-1).max(-1)  # [B, C]
    score = torch.where(choice == EOS, confidence - 2, confidence).masked_fill(~active, -9)
    best = score.topk(rule.count, dim=1)
    commit = torch.zeros_like(active).scatter(1, best.indices, True)
    commit = (commit | (confidence >= rule.threshold)) & active
    canvas = torch.where(commit, choice, canvas)
    ended = (canvas == EOS) | (canvas == EOT)
    first_end = torch.where(ended, place, CANVAS).min(1, keepdim=True).values
    return torch.where(place > first_end, EOS, canvas)


def _text(answer: list[int]) -> list[int]:
    ends = [at for at, token in enumerate(answer) if token in (EOS, EOT)]
    return answer[: ends[0]] if ends else answer
