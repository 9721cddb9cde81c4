"""From logits to one candidate token per masked position, with the numbers that rules rank by.

The score that a fixed quota ranks by follows the model family: LLaDA's loop reads the un-tempered
softmax (its `generate`, step 6), Dream's the tempered and filtered distribution the token was drawn
from. Threshold and factor compare the un-tempered probability for both: a filter that leaves one
token would make every position look certain. Statistics are in fp32. Draws are inverse-CDF with one
uniform per position (`noise.py`).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

NEG_INF = float("-inf")
_SHORT = 1024  # tokens looked at before a whole vocabulary is sorted


@dataclass(frozen=True, slots=True)
class Filters:
    """What tempers and cuts the distribution of each of K positions.

    `temperature`, `top_p` fp32 and `top_k` int64, all [K].
    """

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor

    def rows(self, chosen: Tensor | slice) -> "Filters":
        """Those of the positions `chosen`."""
        return Filters(self.temperature[chosen], self.top_p[chosen], self.top_k[chosen])


@dataclass(frozen=True, slots=True)
class DrawParams(Filters):
    """How each of K positions draws: filters, and `uniform` fp32 [K] in (0, 1).

    None for the whole object means that every position is greedy.
    """

    uniform: Tensor


@dataclass(frozen=True, slots=True)
class Candidates:
    """One candidate per position; every field has K rows.

    `token` int64; `logprob` (un-tempered), `score` (a probability, by the family's rule), `entropy`
    (nats) and `margin` fp32;
    `finite` bool is False where the logits held NaN or +Inf. `entropy` and `margin` are zeros
    unless asked for. `top_tokens`/`top_logprobs` [K, n] when alternatives were asked for.
    """

    token: Tensor
    logprob: Tensor
    score: Tensor
    entropy: Tensor
    margin: Tensor
    finite: Tensor
    top_tokens: Tensor | None = None
    top_logprobs: Tensor | None = None


def candidates(
    logits: Tensor,
    draw: DrawParams | None,
    *,
    forbidden: tuple[int, ...] = (),
    confidence: Literal["raw", "filtered"] = "raw",
    shape_statistics: bool = False,
    n_top: int = 0,
    drafted: Tensor | None = None,
) -> Candidates:
    """Candidates of `logits` fp32 [K, V]; the logits are changed in place.

    `forbidden` ids are never candidates (the mask token). `shape_statistics` computes entropy and
    margin; `n_top` the best alternatives by un-tempered log-probability. `drafted` int64 [K] holds
    tokens that were drawn before, and -1 where the candidate is drawn here.
    """
    if forbidden:
        logits[:, list(forbidden)] = NEG_INF
    log_z = logits.logsumexp(-1)  # [K]
    best, token = logits.max(-1)
    chosen = best
    drawn = logits
    if draw is not None:
        drawn = filter_logits(logits, draw)
        sampled = inverse_cdf(drawn, draw.uniform)
        token = torch.where(draw.temperature > 0, sampled, token)
        chosen = logits.gather(-1, token[:, None])[:, 0]
    if drafted is not None:
        token = torch.where(drafted >= 0, drafted, token)
        chosen = logits.gather(-1, token[:, None])[:, 0]
    logprob = chosen - log_z
    level = logprob
    if confidence == "filtered" and draw is not None:
        level = drawn.gather(-1, token[:, None])[:, 0] - drawn.logsumexp(-1)
    entropy = margin = torch.zeros_like(logprob)
    if shape_statistics:
        shape = drawn if confidence == "filtered" else logits
        probabilities = shape.softmax(-1)
        entropy = torch.special.entr(probabilities).sum(-1)
        two = probabilities.topk(2, dim=-1).values
        margin = two[:, 0] - two[:, 1]
    top_tokens = top_logprobs = None
    if n_top:
        values, top_tokens = logits.topk(min(n_top, logits.shape[-1]), dim=-1)
        top_logprobs = values - log_z[:, None]
    return Candidates(
        token=token,
        logprob=logprob,
        score=level.exp(),
        entropy=entropy,
        margin=margin,
        finite=torch.isfinite(log_z),
        top_tokens=top_tokens,
        top_logprobs=top_logprobs,
    )


def filter_logits(logits: Tensor, draw: Filters) -> Tensor:
    """Tempered logits with everything outside top-k and top-p at -inf; fp32 [K, V].

    Greedy rows are filtered too: Dream's confidence is read from the filtered distribution at any
    temperature. The nucleus holds the most probable tokens whose mass before them is below `top_p`,
    so it is never empty. Ties at the k-th logit are cut by sorted order.
    """
    # The best logit becomes 0 first: a tiny temperature then sends the others to -inf, not all to
    # infinity.
    temperature = torch.where(draw.temperature > 0, draw.temperature, 1.0)[:, None]
    tempered = (logits - logits.amax(-1, keepdim=True)) / temperature
    limited = ((draw.top_k > 0) | (draw.top_p < 1)).nonzero()[:, 0]
    if not len(limited):
        return tempered
    kept, settled = _cut(tempered[limited], draw.rows(limited), _SHORT)
    if not bool(settled.all()):
        rest = (~settled).nonzero()[:, 0]
        kept[rest], _ = _cut(tempered[limited[rest]], draw.rows(limited[rest]), None)
    return tempered.index_copy_(0, limited, kept)


def _cut(tempered: Tensor, draw: Filters, n_best: int | None) -> tuple[Tensor, Tensor]:
    """Rows with what is outside their filters at -inf, and which rows that is settled for.

    Only the `n_best` tokens are looked at, since sorting a whole vocabulary costs ten times as
    much; None looks at all. A row is settled when what is kept ends before them, and not in a tie.
    """
    size = tempered.shape[-1] if n_best is None else min(n_best, tempered.shape[-1])
    ordered, order = _ordered(tempered, size)  # [K, size]
    whole = size == tempered.shape[-1]
    rank = torch.arange(size, device=tempered.device)[None, :]
    k = torch.where(draw.top_k > 0, draw.top_k, tempered.shape[-1])[:, None]
    best = ordered.masked_fill(rank >= k, NEG_INF)
    log_z = torch.where(draw.top_k > 0, best.logsumexp(-1), tempered.logsumexp(-1))[:, None]
    probability = (best - log_z).exp()
    before = probability.cumsum(-1) - probability
    best = best.masked_fill((before >= draw.top_p[:, None]) & (rank > 0), NEG_INF)
    n_kept = (best > NEG_INF).sum(-1, keepdim=True)
    last = ordered.gather(-1, n_kept.clamp(min=1) - 1)[:, 0]
    settled = (ordered[:, -1] < last) & (n_kept[:, 0] < size) & (draw.top_k <= size)
    kept = torch.full_like(tempered, NEG_INF).scatter_(-1, order, best)
    return kept, settled | whole


def _ordered(logits: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The `size` best of each row and their places, best first, ties by place."""
    if size == logits.shape[-1]:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        return ordered, order
    places = logits.topk(size, dim=-1, sorted=False).indices.sort(-1).values
    ordered, rank = logits.gather(-1, places).sort(dim=-1, descending=True, stable=True)
    return ordered, places.gather(-1, rank)


def inverse_cdf(logits: Tensor, uniform: Tensor) -> Tensor:
    """One draw per row of softmax(logits); int64 [K]. `uniform` [K] in (0, 1)."""
    cumulative = logits.double().softmax(-1).cumsum(-1)
    target = uniform.double() * cumulative[:, -1]
    token = torch.searchsorted(cumulative, target[:, None])[:, 0]
    # Rounding may point one past the end, or (uniform near 1) at a token of no probability.
    last = logits.shape[-1] - 1 - (logits.flip(-1) > NEG_INF).to(torch.int8).argmax(-1)
    return torch.minimum(token, last)
