"""What a causal network learns from a row: each token of the answer after those before it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.noise import FILLER_WEIGHT
from training.vocabulary import EOS


@dataclass(frozen=True, slots=True)
class Lesson:
    """What each position [B, L] should say, and how much that counts in the loss."""

    wanted: Tensor
    weights: Tensor


def next_tokens(tokens: Tensor, starts: Tensor, filler: int = EOS) -> Lesson:
    """Position p speaks about p + 1, as far as that is the answer, its end, or the filler after.

    Later filler is never read by a verifier: a draft ends with the turn.
    """
    # The last position speaks about nothing; a token is put there to keep the length.
    wanted = torch.cat((tokens[:, 1:], torch.full_like(tokens[:, :1], filler)), dim=1)
    place = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    answer = (place >= starts[:, None]) & (place < tokens.shape[1])
    text = (wanted != filler) & answer
    first_filler = (wanted == filler) & (tokens != filler) & answer
    return Lesson(wanted, text + FILLER_WEIGHT * first_filler)
