"""What a training row shows the two networks: its clean text, and a masked copy of its answer.

The untouched base reads the clean text causally; the denoiser fills blocks of a copy of the answer.
A block begins with the last token before it, its lead, whose output predicts the block's first
token (the output at p - 1 predicts p); lead and block see all of themselves and what the base keeps
of the text left of the lead. So one row teaches every block of its answer, each masked in its own
way (the two streams of Arriola et al., arXiv 2503.09573, section 4).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.noise import FILLER_WEIGHT, MASK_POWER
from training.smol.pool import LENGTHS, Batch
from training.smol.vocabulary import END_OF_TEXT, MASK

COPIED = dict(zip(LENGTHS, (40, 112, 168), strict=True))  # slots of the copy: answer and leads
BLOCKS = (8, 16, 32, 64)
BLOCK_SHARES = (0.25, 0.25, 0.35, 0.15)
MOVED_SHARE = 0.5  # rows whose blocks begin anywhere, as the windows of sequential rules do
FULL_SHARE = 0.6  # of blocks behind a cut: nothing of them stands yet


def size_of(length: int) -> int:
    """Return the positions that a row of this length takes in both networks."""
    return length + COPIED[length]


SIZES = tuple(size_of(length) for length in LENGTHS)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the answers of a batch [B] fall into blocks."""

    size: Tensor  # [B], positions of a block, its lead not counted
    first: Tensor  # [B], answer position where the first block begins


@dataclass(frozen=True, slots=True)
class Streams:
    """What the denoiser is given in N slots a row, and which of its outputs are judged.

    `inputs` and `positions` [B, N]; `sees` [B, 1, N, L + N]: clean text, then slots. The output of
    a slot speaks about the position behind its own: `targets` its token, `weights` its weight (0:
    not judged), `known` whether nothing right of that position is seen, so that the base's law
    given the text to the left has the same mean as the token itself. All [B, N].
    """

    inputs: Tensor
    positions: Tensor
    sees: Tensor
    targets: Tensor
    weights: Tensor
    known: Tensor


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
    index = slot // (blocks.size[:, None] + 1)  # which block, [B, N]
    inside = slot - index * (blocks.size[:, None] + 1)  # 0: its lead
    begin = batch.starts[:, None] + blocks.first[:, None] + index * blocks.size[:, None]
    place = begin + inside - 1  # position in the row; behind its end there is nothing but filler
    text_end = batch.starts + _text(batch)

    # Per block: how much is masked, and where a cut falls.
    level = _uniform(generator, rows, count).gather(1, index) ** MASK_POWER
    hit = _uniform(generator, rows, count) < level
    room = torch.minimum(blocks.size[:, None], (text_end[:, None] - begin).clamp_min(1))
    point = (_uniform(generator, rows, count).gather(1, index) - FULL_SHARE).clamp_min(0)
    point = (point / (1 - FULL_SHARE) * room).long()
    is_cut = _uniform(generator, rows, count).gather(1, index) < cut
    masked = torch.where(is_cut, inside > point, hit) & (inside > 0)

    targets = _tokens_at(batch.tokens, place + 1)
    # The position behind the last of a block belongs to another block, or was never copied.
    asked = torch.cat((masked[:, 1:] & (inside[:, 1:] > 0), torch.zeros_like(masked[:, :1])), dim=1)
    judged = asked & (begin + inside < length) & (begin < text_end[:, None])
    own = torch.where(masked, MASK, _tokens_at(batch.tokens, place))
    return Streams(
        inputs=own,
        positions=place,
        sees=_sees(length, begin, index),
        targets=targets,
        weights=judged * torch.where(targets == END_OF_TEXT, FILLER_WEIGHT, 1.0),
        known=judged & is_cut & (targets != END_OF_TEXT),
    )


def _tokens_at(tokens: Tensor, place: Tensor) -> Tensor:
    """Return the tokens [B, N] of a row at these places, filler behind its end."""
    length = tokens.shape[1]
    found = tokens.gather(1, place.clamp_max(length - 1))
    return torch.where(place < length, found, END_OF_TEXT)


def _sees(length: int, begin: Tensor, index: Tensor) -> Tensor:
    """Return which slot sees which place of the clean text and which slot, [B, 1, N, L + N]."""
    clean = torch.arange(length, device=begin.device)
    of_clean = clean[None, None] < begin[:, :, None] - 1
    same = index[:, :, None] == index[:, None]
    return torch.cat((of_clean, same), dim=2)[:, None]


def _text(batch: Batch) -> Tensor:
    """Return how many tokens each answer has, its end of turn included."""
    place = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)[None]
    return ((batch.tokens != END_OF_TEXT) & (place >= batch.starts[:, None])).sum(1)


def _uniform(generator: torch.Generator, *size: int) -> Tensor:
    return torch.rand(size, generator=generator, device=generator.device)
