"""Training rows on the device: a few fixed lengths, text and tasks in fixed shares."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from training.smol.conversations import Conversations
from training.smol.vocabulary import END_OF_TEXT

LENGTHS = (128, 192, 256)
LONGER_SHARE = 0.12  # of the rows that would fit a shorter length
CUT_SHARE = 0.02  # too long for their row: the canvas may end before the answer


@dataclass(frozen=True, slots=True)
class Rows:
    """Equally long rows: ids and where each answer starts."""

    tokens: Tensor  # [N, L], int32
    starts: Tensor  # [N]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one length; the first `texts` of them are text, the others are tasks."""

    tokens: Tensor  # [B, L]
    starts: Tensor  # [B]
    texts: int


def lay_out(found: Conversations, seed: int, device: torch.device) -> list[Rows]:
    """Sort conversations into rows of `LENGTHS`, filled up with the end-of-text token."""
    rng = Random(seed)
    members: list[list[int]] = [[] for _ in LENGTHS]
    for at, size in enumerate(found.lengths().tolist()):
        spot = next((i for i, length in enumerate(LENGTHS) if size <= length), len(LENGTHS))
        luck = rng.random()
        if luck < LONGER_SHARE and spot + 1 < len(LENGTHS):
            spot += 1
        elif luck > 1 - CUT_SHARE and spot and found.starts[at] + 24 <= LENGTHS[spot - 1]:
            spot -= 1
        if spot < len(LENGTHS):
            members[spot].append(at)
    return [_rows(found, part, size, device) for part, size in zip(members, LENGTHS, strict=True)]


def _rows(found: Conversations, part: list[int], length: int, device: torch.device) -> Rows:
    tokens = np.full((len(part), length), END_OF_TEXT, dtype=np.int32)
    for row, at in zip(tokens, part, strict=True):
        ids = found.row(at)[:length]
        row[: len(ids)] = ids
    starts = found.starts[part].astype(np.int32)
    return Rows(torch.from_numpy(tokens).to(device), torch.from_numpy(starts).to(device))


class Pool:
    """Draws batches; a step's length comes from the shares that the data and the mix give."""

    def __init__(
        self, texts: list[Rows], tasks: list[Rows], task_share: float, tokens: int, seed: int
    ) -> None:
        self.texts, self.tasks = texts, tasks
        self.generator = torch.Generator(texts[0].tokens.device).manual_seed(seed)
        self.order = Random(seed)
        text = _token_shares(texts)
        task = _token_shares(tasks)
        self.shares = [
            (1 - task_share) * a + task_share * b for a, b in zip(text, task, strict=True)
        ]
        self.counts = []  # rows of text and of tasks in a batch of each length
        for length, share, of_tasks in zip(LENGTHS, self.shares, task, strict=True):
            rows = max(2, tokens // length)
            tasked = round(rows * task_share * of_tasks / share) if share else 0
            self.counts.append((rows - tasked, tasked))

    def length_of(self, step: int) -> int:
        """Return which of `LENGTHS` a step uses; every one is met in the first steps."""
        met = [at for at, share in enumerate(self.shares) if share]
        if step < len(met):
            return met[step]
        return self.order.choices(range(len(LENGTHS)), self.shares)[0]

    def batch(self, length: int) -> Batch:
        """Draw rows of one length at random."""
        parts = []
        for rows, count in zip((self.texts[length], self.tasks[length]), self.counts[length],
                               strict=True):  # fmt: skip
            device = self.generator.device
            pick = torch.randint(
                max(1, len(rows)), (count,), generator=self.generator, device=device
            )
            parts.append((rows.tokens[pick].long(), rows.starts[pick].long()))
        tokens, starts = (torch.cat(values) for values in zip(*parts, strict=True))
        return Batch(tokens, starts, self.counts[length][0])


def _token_shares(rows: list[Rows]) -> list[float]:
    sizes = [part.tokens.numel() for part in rows]
    return [size / max(1, sum(sizes)) for size in sizes]
