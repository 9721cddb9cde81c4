"""Which answer positions are masked in training, and which of them count in the loss."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.vocabulary import EOS, MASK

BLOCK = 32
FILLER_WEIGHT = 0.1  # end-of-text filler is easy and plentiful
MASK_POWER = 0.7  # below one: more rows are nearly all masks, where parallel decoding starts
UNIFORM_SHARE = 0.45  # the rest: one block being decoded, or a left-to-right cut
BLOCK_SHARE = 0.40


@dataclass(frozen=True, slots=True)
class Noised:
    """A batch as the network sees it, and the weight of each position in the loss."""

    inputs: Tensor  # [B, L]
    weights: Tensor  # [B, L], zero where nothing is to be learned


def add_noise(
    tokens: Tensor,
    starts: Tensor,
    generator: torch.Generator,
    kind: Tensor | None = None,
    mask: int = MASK,
    filler: int = EOS,
) -> Noised:
    """Mask answer positions [B, L] in one of three ways, each a state that decoding visits.

    Uniform: every position with probability t. Block: earlier blocks are clean, one is masked
    with probability t, later ones fully. Cut: everything right of a random point, of which the
    next block counts. `kind` [B] in [0, 1) says which way each row goes; else chance does.
    """
    rows, length = tokens.shape
    device = tokens.device
    offset = torch.arange(length, device=device)[None] - starts[:, None]  # [B, L]
    answer = offset >= 0
    text = ((tokens != filler) & answer).sum(1)  # [B]
    level = torch.randperm(rows, generator=generator, device=device) + _uniform(generator, rows)
    hit = _uniform(generator, rows, length) < (level / rows)[:, None] ** MASK_POWER
    point = _uniform(generator, rows)
    kind = (_uniform(generator, rows) if kind is None else kind)[:, None]

    blocks = (text + BLOCK - 1) // BLOCK
    active = (point * blocks).long()[:, None]
    block = offset // BLOCK
    cut = (point * text).long()[:, None]
    in_block, right = block == active, offset >= cut

    uniform, by_block = kind < UNIFORM_SHARE, kind < UNIFORM_SHARE + BLOCK_SHARE
    masked = torch.where(
        uniform, hit, torch.where(by_block, (in_block & hit) | (block > active), right)
    )
    counted = torch.where(
        uniform, hit, torch.where(by_block, in_block & hit, right & (offset < cut + BLOCK))
    )
    inputs = torch.where(masked & answer, mask, tokens)
    weights = (counted & answer) * torch.where(tokens == filler, FILLER_WEIGHT, 1.0)
    return Noised(inputs, weights)


def _uniform(generator: torch.Generator, *size: int) -> Tensor:
    return torch.rand(size, generator=generator, device=generator.device)


def loss_of(logits: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy; each row is divided by the root of its weight.

    That lies between a mean over masked positions (all rows equal) and a sum (long rows rule).
    """
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), tokens.flatten(), reduction="none"
    ).view_as(tokens)
    totals = weights.sum(1)
    return ((losses * weights).sum(1) / totals.clamp_min(FILLER_WEIGHT).sqrt()).mean()
