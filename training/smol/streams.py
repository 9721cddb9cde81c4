"""A training row as two streams: the clean text, read causally, and a masked copy of its answer.

The model to be is a block diffusion model with causal context (Arriola et al., arXiv 2503.09573,
whose two streams these are): a block sees all of itself and the clean text left of it. One forward
thus learns every block of an answer, each masked in its own way. The output at p - 1 predicts p,
so the first position of a block is predicted by the clean stream: there the model is the base.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.noise import FILLER_WEIGHT, MASK_POWER
from training.smol.pool import ANSWERS, LENGTHS, Batch
from training.smol.vocabulary import END_OF_TEXT, MASK

COPIED = dict(zip(LENGTHS, ANSWERS, strict=True))  # answer positions in the masked stream
BLOCKS = (8, 16, 32, 64)
BLOCK_SHARES = (0.2, 0.25, 0.4, 0.15)
MOVED_SHARE = 0.5  # rows whose blocks begin anywhere, as the windows of sequential rules do
FULL_SHARE = 0.5  # of blocks behind a cut: nothing of them stands yet


def size_of(length: int) -> int:
    """Return the positions that a row of this length takes in both streams."""
    return length + COPIED[length]


SIZES = tuple(size_of(length) for length in LENGTHS)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the answers of a batch [B] fall into blocks."""

    size: Tensor  # [B], positions of a block
    first: Tensor  # [B], answer position where the first block begins


@dataclass(frozen=True, slots=True)
class Streams:
    """What the network is given, and which of its outputs are judged.

    `inputs` and `positions` [B, L + N]; `sees` [B, 1, L + N, L + N]. For answer position j of the
    masked stream: `source` [B, N] is the place of the output that predicts it, `targets` its token,
    `weights` its weight (0: not judged), `known` whether nothing right of it is seen, so that the
    base's law given the text to the left has the same mean as the token itself.
    """

    inputs: Tensor
    positions: Tensor
    sees: Tensor
    source: Tensor
    targets: Tensor
    weights: Tensor
    known: Tensor
    before: Tensor  # [B, N], the place in the clean stream left of each answer position


def layout(batch: Batch, generator: torch.Generator) -> Layout:
    """Draw one."""
    rows, device = len(batch.starts), batch.starts.device
    shares = torch.tensor(BLOCK_SHARES, device=device)
    sizes = torch.tensor(BLOCKS, device=device)
    size = sizes[torch.multinomial(shares, rows, True, generator=generator)]
    text = _text(batch)
    reach = torch.minimum(text, torch.full_like(text, BLOCKS[-1]))
    moved = _uniform(generator, rows) < MOVED_SHARE
    first = torch.where(moved, (_uniform(generator, rows) * reach).long(), torch.zeros_like(text))
    return Layout(size, first)


def two_streams(batch: Batch, blocks: Layout, cut: float, generator: torch.Generator) -> Streams:
    """Mask every block of a batch: a share `cut` of them right of a point, the others at random."""
    rows, length = batch.tokens.shape
    count = COPIED[length]
    device = batch.tokens.device
    slot = torch.arange(count, device=device)[None]  # [1, N]
    index = slot // blocks.size[:, None]  # which block, [B, N]
    inside = slot - index * blocks.size[:, None]
    place = batch.starts[:, None] + blocks.first[:, None] + slot  # position in the row
    begin = place - inside
    text_end = batch.starts + _text(batch)
    judged = (place < length) & (begin < text_end[:, None])
    place = place.clamp_max(length - 1)
    targets = batch.tokens.gather(1, place)

    # Per block: how much is masked, and where a cut falls.
    level = _uniform(generator, rows, count).gather(1, index) ** MASK_POWER
    hit = _uniform(generator, rows, count) < level
    room = torch.minimum(blocks.size[:, None], (text_end[:, None] - begin).clamp_min(1))
    point = (_uniform(generator, rows, count).gather(1, index) - FULL_SHARE).clamp_min(0)
    point = (point / (1 - FULL_SHARE) * room).long()
    is_cut = _uniform(generator, rows, count).gather(1, index) < cut
    masked = torch.where(is_cut, inside >= point, hit)
    leads = inside == 0  # predicted by the clean stream, whatever is masked here

    weights = (judged & (masked | leads)).float()
    weights = weights * torch.where(targets == END_OF_TEXT, FILLER_WEIGHT, 1.0)
    copy = torch.where(masked, MASK, targets)
    own = torch.cat((torch.arange(length, device=device).expand(rows, -1), place), dim=1)
    return Streams(
        inputs=torch.cat((batch.tokens, copy), dim=1),
        positions=own,
        sees=_sees(length, begin, index),
        source=torch.where(leads, place - 1, length + slot - 1),
        targets=targets,
        weights=weights,
        known=(leads | is_cut) & (targets != END_OF_TEXT),
        before=place - 1,
    )


def _sees(length: int, begin: Tensor, index: Tensor) -> Tensor:
    """Return which place sees which, [B, 1, L + N, L + N]."""
    rows, device = len(begin), begin.device
    clean = torch.arange(length, device=device)
    limit = torch.cat(((clean + 1).expand(rows, -1), begin), dim=1)  # [B, L + N]
    of_clean = clean[None, None] < limit[:, :, None]
    same = index[:, :, None] == index[:, None]
    none = torch.zeros(rows, length, same.shape[2], dtype=torch.bool, device=device)
    return torch.cat((of_clean, torch.cat((none, same), dim=1)), dim=2)[:, None]


def _text(batch: Batch) -> Tensor:
    """Return how many tokens each answer has, its end of turn included."""
    place = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)[None]
    return ((batch.tokens != END_OF_TEXT) & (place >= batch.starts[:, None])).sum(1)


def _uniform(generator: torch.Generator, *size: int) -> Tensor:
    return torch.rand(size, generator=generator, device=generator.device)
