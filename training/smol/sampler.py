"""The base as an autoregressive writer of thousands of conversations at once.

Every row has its own position in a static K/V cache and walks through known tokens (what it was
given) and sampled ones alike, so that one graph of fixed shapes serves all of them. A row that
has ended waits a few steps until it is read and given new work.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every torch program uses
from torch.nn.attention import SDPBackend, sdpa_kernel

from training.smol.network import SHAPE, Weights, angles, norm, rotate
from training.smol.vocabulary import END, UNUSED

STEPS = 16  # between two looks at what has ended
USER_LIMIT = 56
ANSWER_LIMIT = 140  # what takes longer would teach never to end on a canvas of 128


class Taste(NamedTuple):
    """How tokens are drawn: temperature, and the least share of the best token's probability."""

    temperature: float
    least: float


USER = Taste(1.0, 0.04)
ANSWER = Taste(0.5, 0.1)
GREEDY = Taste(1.0, 1.0)


@dataclass(slots=True)
class Job:
    """What one row is to write: from a given start, perhaps a user turn, then the answer."""

    given: list[int]
    asks: bool  # the user turn is still open
    taste: Taste = ANSWER
    hidden: int = 0  # tokens at the start that training will not see
    label: object = None


class Written(NamedTuple):
    """A finished row: its tokens, where the last answer starts, whether it ended by itself."""

    job: Job
    tokens: list[int]
    start: int
    ended: bool


class Sampler:
    """Rows of one size on one device."""

    def __init__(self, weights: Weights, rows: int, length: int, suffix: list[int]) -> None:
        embedding = weights.embedding
        device = embedding.device
        self.weights, self.rows, self.length = weights, rows, length
        self.device = device
        self.jobs: list[Job | None] = [None] * rows
        self.suffix = torch.tensor(suffix, device=device)
        head = weights.layers[0].q.shape[0] // SHAPE.heads
        shape = (rows, SHAPE.kv_heads, length, head)
        self.keys = [torch.zeros(shape, dtype=embedding.dtype, device=device)
                     for _ in weights.layers]  # fmt: skip
        self.values = [torch.zeros_like(keys) for keys in self.keys]
        self.cos, self.sin = (t.to(embedding.dtype) for t in angles(length, head, device))
        self.places = torch.arange(length, device=device)
        self.every = torch.arange(rows, device=device)
        self.tokens = torch.zeros(rows, length, dtype=torch.long, device=device)
        self.at = torch.zeros(
            rows, dtype=torch.long, device=device
        )  # position of the token that is fed next
        self.known = torch.ones(
            rows, dtype=torch.long, device=device
        )  # tokens below this index are given
        self.start = torch.zeros(rows, dtype=torch.long, device=device)  # of the answer
        self.limit = torch.zeros(rows, dtype=torch.long, device=device)
        self.asks = torch.zeros(rows, dtype=torch.bool, device=device)
        self.state = torch.ones(
            rows, dtype=torch.long, device=device
        )  # 0 writing, 1 free, 2 ended, 3 cut off
        self.taste = torch.ones(rows, 2, device=device)  # of the answer: 1 / T, log least
        user = torch.tensor([1 / USER.temperature, USER.least], device=device)
        user[1] = user[1].log()
        self.user_taste = user
        self.barred = torch.zeros(embedding.shape[0], dtype=torch.bool, device=device)
        self.barred[list(UNUSED)] = True
        self.graph: torch.cuda.CUDAGraph | None = None

    def _logits(self, token: Tensor) -> Tensor:
        """Feed one token a row [B] at its position; return logits [B, V]."""
        x = F.embedding(token, self.weights.embedding)
        cos, sin = self.cos[self.at][:, None], self.sin[self.at][:, None]  # [B, 1, D]
        seen = (self.places[None] <= self.at[:, None])[:, None, None]  # [B, 1, 1, T]
        for layer, keys, values in zip(self.weights.layers, self.keys, self.values, strict=True):
            h = norm(x, layer.norm)
            q = rotate(F.linear(h, layer.q).view(self.rows, SHAPE.heads, -1), cos, sin)
            k = rotate(F.linear(h, layer.k).view(self.rows, SHAPE.kv_heads, -1), cos, sin)
            keys[self.every, :, self.at] = k
            values[self.every, :, self.at] = F.linear(h, layer.v).view_as(k)
            # The query heads of one K/V head stand as rows of one small attention: no copies.
            q = q.view(self.rows, SHAPE.kv_heads, SHAPE.heads // SHAPE.kv_heads, -1)
            with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
                mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
            x = x + F.linear(mixed.reshape(self.rows, -1), layer.o)
            h = norm(x, layer.ff_norm)
            x = x + F.linear(F.silu(F.linear(h, layer.gate)) * F.linear(h, layer.up), layer.down)
        return F.linear(norm(x, self.weights.last_norm), self.weights.embedding)

    def _choose(self, logits: Tensor) -> Tensor:
        taste = torch.where(self.asks[:, None], self.user_taste, self.taste)  # [B, 2]
        scores = logits.float().masked_fill_(self.barred, -torch.inf).mul_(taste[:, :1])
        least = scores.amax(1, keepdim=True) + taste[:, 1:]
        noise = torch.empty_like(scores).exponential_().clamp_min_(1e-20).log_()
        return (scores - noise).masked_fill_(scores < least, -torch.inf).argmax(1)

    @torch.no_grad()
    def step(self) -> None:
        """Advance every row by one token."""
        drawn = self._choose(self._logits(self.tokens.gather(1, self.at[:, None])[:, 0]))
        writing = self.state == 0
        at = (self.at + 1).clamp_max(self.length - 1)
        free = writing & (at >= self.known)
        held = self.tokens.gather(1, at[:, None])[:, 0]
        token = torch.where(free, drawn, held)
        self.tokens.scatter_(1, at[:, None], token[:, None])
        closed = free & (token == END)
        asked = closed & self.asks
        spots = (at[:, None] + 1 + self.places[None, : len(self.suffix)]).clamp_max(self.length - 1)
        after = torch.where(asked[:, None], self.suffix, self.tokens.gather(1, spots))
        self.tokens.scatter_(1, spots, after)
        begun = at + 1 + len(self.suffix)
        over = free & (at >= self.limit) & ~closed
        self.state.copy_(torch.where(closed & ~self.asks, 2, torch.where(over, 3, self.state)))
        self.known.copy_(torch.where(asked, begun, self.known))
        self.start.copy_(torch.where(asked, begun, self.start))
        end = (begun + ANSWER_LIMIT).clamp_max(self.length - 1)
        self.limit.copy_(torch.where(asked, end, self.limit))
        self.asks.logical_and_(~asked)
        self.at.copy_(torch.where(writing, at, self.at))

    def capture(self) -> None:
        """Record `step` as a CUDA graph."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        self.graph = graph

    def give(self, work: list[tuple[int, Job]], keep: bool = False) -> None:
        """Give rows new jobs; with `keep` the row goes on behind what it has already written."""
        if not work:
            return
        rows = torch.tensor([row for row, _ in work], device=self.device)
        widest = max(len(job.given) for _, job in work)
        ids = torch.zeros(len(work), widest, dtype=torch.long)
        for spot, (_, job) in enumerate(work):
            ids[spot, : len(job.given)] = torch.tensor(job.given)
        given = torch.tensor([len(job.given) for _, job in work], device=self.device)
        self.tokens[rows, :widest] = ids.to(self.device)
        if not keep:
            self.at[rows] = 0
        self.known[rows] = given
        self.start[rows] = given
        self.asks[rows] = torch.tensor([job.asks for _, job in work], device=self.device)
        room = torch.where(self.asks[rows], USER_LIMIT, ANSWER_LIMIT)
        self.limit[rows] = (given + room).clamp_max(self.length - 1)
        taste = torch.tensor([[1 / job.taste.temperature, job.taste.least] for _, job in work])
        taste[:, 1] = taste[:, 1].log()
        self.taste[rows] = taste.to(self.device)
        self.state[rows] = 0
        for row, job in work:
            self.jobs[row] = job

    def launch(self) -> None:
        """Start a few steps; on a GPU they go on while the caller does something else."""
        for _ in range(STEPS):
            if self.graph is None:
                self.step()
            else:
                self.graph.replay()

    def collect(self) -> list[tuple[int, Written]]:
        """Wait for the steps; return what has ended and the rows that it leaves free."""
        done = (self.state > 1).nonzero()[:, 0]
        columns = torch.stack((self.state[done], self.start[done], self.at[done]), 1).tolist()
        texts = self.tokens[done].tolist()
        self.state[done] = 1
        found = []
        for row, (state, start, at), ids in zip(done.tolist(), columns, texts, strict=True):
            job = self.jobs[row]
            self.jobs[row] = None
            if job is not None:
                found.append((row, Written(job, ids[: at + 1], start, state == 2)))
        return found
