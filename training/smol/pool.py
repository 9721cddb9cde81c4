"""Training rows on the device: a few fixed lengths, text and tasks in fixed shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from training.smol.conversations import Conversations
from training.smol.vocabulary import END_OF_TEXT

LENGTHS = (64, 128, 192)
ANSWERS = (32, 96, 144)  # most answer positions that a row of each length is trained on


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


def lay_out(found: Conversations, device: torch.device) -> list[Rows]:
    """Sort conversations into rows of `LENGTHS`, filled up with the end-of-text token.

    What is longer than the longest is left out.
    """
    members: list[list[int]] = [[] for _ in LENGTHS]
    sizes = found.lengths()
    for at, (size, start) in enumerate(zip(sizes.tolist(), found.starts.tolist(), strict=True)):
        for part, length, answer in zip(members, LENGTHS, ANSWERS, strict=True):
            if size <= length and size - start <= answer:
                part.append(at)
                break
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
        self,
        texts: list[Rows],
        tasks: list[Rows],
        task_share: float,
        tokens: int,
        seed: int,
        sizes: Sequence[int] = LENGTHS,
        rank: int = 0,
    ) -> None:
        """`tokens` of a batch count a row of each of `LENGTHS` as one of `sizes`.

        Pools of another `rank` draw other rows of the same lengths.
        """
        self.texts, self.tasks = texts, tasks
        device = texts[0].tokens.device
        self.generator = torch.Generator(device).manual_seed(seed + 1_000_003 * rank)
        self.order = Random(seed)
        text = _token_shares(texts)
        task = _token_shares(tasks)
        self.shares = [
            (1 - task_share) * a + task_share * b for a, b in zip(text, task, strict=True)
        ]
        self.counts = []  # rows of text and of tasks in a batch of each length
        for size, share, of_tasks in zip(sizes, self.shares, task, strict=True):
            rows = max(2, tokens // size)
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
