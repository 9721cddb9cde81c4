"""Worker processes write training chunks; a pool on the device serves random batches of them.

Chunk i is a pure function of the seed and i, and the pool takes chunks in order, one per step, so
a run sees the same data whatever the number of workers.
"""

import os
import queue
import threading
from collections.abc import Iterator
from itertools import islice
from multiprocessing import get_context
from multiprocessing.queues import Queue
from types import TracebackType

import torch
from torch import Tensor

from training.chat import BUCKETS, Rows, chunk_seeds, draw_chunk
from training.vocabulary import load

AHEAD = 4  # chunks that each worker may be ahead of the training loop


def _work(
    outbox: "Queue[list[Rows]]", shares: dict[str, float], seed: int, stage: int, part: slice
) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = load()
    for chunk_seed in islice(chunk_seeds(seed, stage), part.start, None, part.step):
        outbox.put(draw_chunk(tokenizer, shares, chunk_seed))


class Stream:
    """The chunks of one stage, in order; use as a context so that the workers end."""

    def __init__(self, shares: dict[str, float], seed: int, stage: int, workers: int) -> None:
        # Forked before the device is touched: a spawned worker would import torch for nothing.
        context = get_context("fork")
        self.outboxes: list[Queue[list[Rows]]] = [context.Queue(AHEAD) for _ in range(workers)]
        self.workers = [
            context.Process(
                target=_work,
                args=(outbox, shares, seed, stage, slice(at, None, workers)),
                daemon=True,
            )
            for at, outbox in enumerate(self.outboxes)
        ]
        # A thread unpacks and pins ahead of time: the training loop must never wait for a copy.
        self.ready: queue.Queue[list[tuple[Tensor, Tensor]]] = queue.Queue(2 * AHEAD)
        self.closing = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Stream":
        for worker in self.workers:
            worker.start()
        self.reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        for worker in self.workers:
            worker.terminate()

    def __iter__(self) -> Iterator[list[tuple[Tensor, Tensor]]]:
        while True:
            yield self.ready.get(timeout=120)

    def _read(self) -> None:
        pin = torch.cuda.is_available()
        while True:
            for outbox in self.outboxes:
                chunk = None
                while chunk is None:
                    if self.closing.is_set():
                        return
                    try:
                        chunk = outbox.get(timeout=1)
                    except queue.Empty:
                        continue
                pairs = [
                    (torch.from_numpy(rows.tokens), torch.from_numpy(rows.starts)) for rows in chunk
                ]
                if pin:
                    pairs = [(tokens.pin_memory(), starts.pin_memory()) for tokens, starts in pairs]
                self.ready.put(pairs)


class Pool:
    """A ring of rows per length, kept on the device."""

    def __init__(self, device: torch.device, capacity: int, seed: int) -> None:
        self.tokens = [
            torch.zeros(capacity * BUCKETS[0] // length, length, dtype=torch.int16, device=device)
            for length in BUCKETS
        ]
        self.starts = [
            torch.zeros(len(rows), dtype=torch.int16, device=device) for rows in self.tokens
        ]
        self.written = [0 for _ in BUCKETS]
        self.generator = torch.Generator(device).manual_seed(seed)

    def add(self, chunk: list[tuple[Tensor, Tensor]]) -> None:
        """Overwrite the oldest rows of each length."""
        for at, (tokens, starts) in enumerate(chunk):
            capacity, done = len(self.tokens[at]), 0
            while done < len(tokens):
                spot = self.written[at] % capacity
                count = min(len(tokens) - done, capacity - spot)
                for ring, rows in ((self.tokens[at], tokens), (self.starts[at], starts)):
                    ring[spot : spot + count].copy_(rows[done : done + count], non_blocking=True)
                done += count
                self.written[at] += count

    def batch(self, bucket: int, tokens_per_step: int) -> tuple[Tensor, Tensor]:
        """Draw rows of one length: token ids [B, L] and answer starts [B]."""
        filled = min(self.written[bucket], len(self.tokens[bucket]))
        rows = tokens_per_step // BUCKETS[bucket]
        pick = torch.randint(
            filled, (rows,), generator=self.generator, device=self.generator.device
        )
        return self.tokens[bucket][pick].long(), self.starts[bucket][pick].long()

    def shares(self) -> list[float]:
        """Return each length's share of all tokens written so far."""
        sizes = [count * length for count, length in zip(self.written, BUCKETS, strict=True)]
        return [size / sum(sizes) for size in sizes]
