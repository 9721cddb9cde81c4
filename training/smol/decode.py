"""Batched semi-autoregressive decoding of a shifted model, for scoring without the server."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.smol.network import Weights, hidden, logits_of
from training.smol.vocabulary import END, END_OF_TEXT, MASK

CANVAS = 128
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Rule:
    """Which masked positions a forward commits.

    Of the active block, all whose confidence reaches `threshold` and at least the best `count`,
    filler ranked last; with a `ratio`, the longest run from the left that the base agrees with.
    """

    name: str
    count: int = 1
    threshold: float = 2.0
    ratio: float | None = None  # share of the drafter in the mixed law


RULES = (
    Rule("k1"),
    Rule("k2", count=2),
    Rule("k4", count=4),
    Rule("threshold_0.9", threshold=0.9),
    Rule("threshold_0.7", threshold=0.7),
    Rule("apd_0.5", ratio=0.5),
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer: its tokens without end marks, forwards it took, whether it ended by itself."""

    tokens: list[int]
    forwards: int
    ended: bool


@torch.no_grad()
def decode(
    model: Weights, verifier: Weights, prompts: list[list[int]], rule: Rule, canvas: int = CANVAS
) -> list[Decoded]:
    """Decode one batch; prompts are padded on the left and the padding is never attended to."""
    device = model.embedding.device
    longest = max(map(len, prompts))
    rows = [[END_OF_TEXT] * (longest - len(p)) + p + [MASK] * canvas for p in prompts]
    x = torch.tensor(rows, device=device)  # [B, P + C]
    lengths = torch.tensor([len(p) for p in prompts], device=device)
    valid = torch.arange(x.shape[1], device=device) >= longest - lengths[:, None]
    forwards = torch.zeros(len(prompts), dtype=torch.long, device=device)
    while True:
        open_ = x[:, longest:] == MASK
        running = open_.any(1).nonzero()[:, 0]
        if not len(running):
            break
        part = x[running]
        first = open_[running].int().argmax(1)  # [R], the first masked place of the canvas
        begin = first if rule.ratio is not None else first // BLOCK * BLOCK
        sees = _sees(valid[running], begin + longest)
        states = hidden(model, part, allowed=sees)
        if rule.ratio is None:
            spots = begin[:, None] + torch.arange(BLOCK, device=device)
            choice, commit = _by_confidence(model, states, part, spots + longest, rule)
        else:
            spots = first.clamp_max(canvas - BLOCK)[:, None] + torch.arange(BLOCK, device=device)
            choice, commit = _by_agreement(
                (model, verifier), states, part, spots + longest, valid[running], rule.ratio
            )
        spots = spots + longest
        kept = part.gather(1, spots)
        part.scatter_(1, spots, torch.where(commit & (kept == MASK), choice, kept))
        part[:, longest:] = _filled(part[:, longest:])
        x[running] = part
        forwards[running] += 1
    return [
        _text(answer, count)
        for answer, count in zip(x[:, longest:].tolist(), forwards.tolist(), strict=True)
    ]


def _sees(valid: Tensor, begin: Tensor) -> Tensor:
    """Return which place sees which: the block from `begin` on itself, others leftwards."""
    place = torch.arange(valid.shape[1], device=valid.device)
    left = place[None, :, None] >= place[None, None]  # a query sees what is left of it
    block = (place >= begin[:, None]) & (place < begin[:, None] + BLOCK)  # [R, P + C]
    own = block[:, :, None] & block[:, None]
    itself = torch.eye(valid.shape[1], dtype=torch.bool, device=valid.device)
    return (((left | own) & valid[:, None]) | itself)[:, None]


def _logits(model: Weights, states: Tensor, spots: Tensor) -> Tensor:
    """Return logits [R, N, V] for the positions `spots` [R, N]."""
    index = (spots - 1)[..., None].expand(-1, -1, states.shape[-1])
    return logits_of(model, states.gather(1, index))


def _by_confidence(
    model: Weights, states: Tensor, tokens: Tensor, spots: Tensor, rule: Rule
) -> tuple[Tensor, Tensor]:
    confidence, choice = _logits(model, states, spots).softmax(-1).max(-1)  # [R, N]
    active = tokens.gather(1, spots) == MASK
    score = torch.where(choice == END_OF_TEXT, confidence - 2, confidence)
    best = score.masked_fill(~active, -9).topk(rule.count, dim=1)
    commit = torch.zeros_like(active).scatter(1, best.indices, True)
    return choice, (commit | (confidence >= rule.threshold)) & active


def _by_agreement(
    models: tuple[Weights, Weights],
    states: Tensor,
    tokens: Tensor,
    spots: Tensor,
    valid: Tensor,
    ratio: float,
) -> tuple[Tensor, Tensor]:
    """Keep the drafted run that the mix of both laws would have written too."""
    drafter, verifier = models
    drafted = _logits(drafter, states, spots).log_softmax(-1)
    choice = drafted.argmax(-1)  # [R, N]
    held = tokens.gather(1, spots)
    whole = tokens.scatter(1, spots, torch.where(held == MASK, choice, held))
    square = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device)
    allowed = valid[:, None, None] & square.tril() | torch.eye(
        tokens.shape[1], dtype=torch.bool, device=tokens.device
    )
    read = _logits(verifier, hidden(verifier, whole, allowed=allowed), spots).log_softmax(-1)
    # The mask has no chance under either; nothing times minus infinity must stay that.
    mixed = (ratio * drafted + (1 - ratio) * read).nan_to_num(-torch.inf, neginf=-torch.inf)
    masked = held == MASK
    first = masked & (masked.cumsum(1) == 1)  # kept whatever the base says
    agreed = (mixed.argmax(-1) == choice) | ~masked | first
    return choice, agreed.cummin(1).values


def _filled(canvas: Tensor) -> Tensor:
    """Fill everything right of the first end mark that nothing masked precedes or follows."""
    place = torch.arange(canvas.shape[1], device=canvas.device)
    ended = (canvas == END_OF_TEXT) | (canvas == END)
    first_end = torch.where(ended, place, canvas.shape[1]).min(1, keepdim=True).values
    return torch.where(place > first_end, END_OF_TEXT, canvas)


def _text(answer: list[int], forwards: int) -> Decoded:
    ends = [at for at, token in enumerate(answer) if token in (END, END_OF_TEXT)]
    return Decoded(answer[: ends[0]] if ends else answer, forwards, bool(ends))
