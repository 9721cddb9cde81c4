"""Adaptive parallel decoding (Israel, Van den Broeck, Grover; arXiv 2506.00413, algorithm 1).

The diffusion model drafts every masked position at once, each from its own marginal; a small causal
model reads the draft and says, for each position, what it expects after the tokens before it. Both
distributions are mixed to a target, p_drafter^r * p_verifier^(1 - r), and a second token is drawn
from that with the same Gumbel noise as the first: the two agree as often as the distributions
overlap. The draft is committed as far as they agree, its first token always.

Temperature and filters act once, on both distributions, before they are mixed. Everything here is
pure; `engine/verifier.py` runs the two models.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dfastllm.cache.policy import Feed
from dfastllm.core import StrategyName
from dfastllm.decoding.candidates import NEG_INF, Filters, filter_logits
from dfastllm.decoding.noise import gumbel
from dfastllm.decoding.strategy import BlockView, Choice, RowView, Strategy

_CHUNK = 1 << 22  # numbers of noise made at a time: 32 MiB


class Apd(Strategy):
    """Commits each row's draft up to the first token that the target would not have drawn."""

    name: ClassVar[str] = StrategyName.APD
    sequential: ClassVar[bool] = True
    verifies: ClassVar[bool] = True

    def choose(self, view: BlockView) -> Choice:
        assert view.agreed is not None, "the engine verifies drafts before it asks"
        return Choice(accepted_prefix(view.agreed) & view.masked)

    def feed(self, row: RowView, default: Feed) -> Feed:
        """With a window, what was just committed and `window` positions left of it, to the end.

        What was just committed was fed as masks: its K/V are those of masks until it is fed again.
        So are those of the masks right of it, none of which outlives a forward. The position
        before the first mask is always among what was just committed, as shifted logits need it.
        Where the context is read causally, all that is left of it is final, whatever the window.
        A default that stores feeds no more than is not final yet: a window could only add to it.
        """
        if row.params.window is None or default.store:
            return default
        start = max(row.start - row.recent - row.params.window, 0) if row.step else 0
        end = default.kv_len
        return Feed(start, end, end, start == 0, store=True, causal_until=default.causal_until)


@dataclass(frozen=True, slots=True)
class Coupling:
    """How K positions draw, twice with the same noise; tensors have K rows.

    `keys` int64 seed the noise of each position, `r` fp32 is the drafter's weight in the target.
    """

    filters: Filters
    keys: Tensor
    r: Tensor

    def rows(self, chosen: Tensor) -> "Coupling":
        """That of the positions `chosen`, int64."""
        return Coupling(self.filters.rows(chosen), self.keys[chosen], self.r[chosen])


def draft(logits: Tensor, coupling: Coupling) -> Tensor:
    """The drafter's own token at each position, int64 [K]. `logits` fp32 [K, V]."""
    return _in_chunks(coupling, logits.shape, lambda rows: _levels(logits[rows], coupling, rows))


def target(logits: Tensor, verifier_logits: Tensor, coupling: Coupling) -> Tensor:
    """The token of the mixed distribution, drawn with the noise of the draft; int64 [K].

    -1 where no token is possible under both. `logits` are the drafter's; both fp32 [K, V].
    """

    def mixed(rows: slice) -> Tensor:
        drafter = _levels(logits[rows], coupling, rows)
        verifier = _levels(verifier_logits[rows], coupling, rows)
        return mix(drafter, verifier, coupling.r[rows])

    return _in_chunks(coupling, logits.shape, mixed)


def mix(drafter: Tensor, verifier: Tensor, r: Tensor) -> Tensor:
    """The sum of both by weights r and 1 - r, [K, V]; weight 0 also silences minus infinity."""
    weight = r[:, None]
    if bool(((r > 0) & (r < 1)).all()):
        return (drafter * weight).add_(verifier * (1 - weight))
    mixed = torch.where(weight > 0, weight * drafter, 0.0)
    return mixed + torch.where(weight < 1, (1 - weight) * verifier, 0.0)


def accepted_prefix(agreed: Tensor) -> Tensor:
    """The longest prefix of agreement of each row, its first position in any case; bool [R, B]."""
    kept = agreed.clone()
    kept[:, 0] = True
    return kept.to(torch.int8).cumprod(-1).bool()


def _levels(logits: Tensor, coupling: Coupling, rows: slice) -> Tensor:
    """Unnormalised log-probabilities as they are drawn from: tempered once, then filtered.

    At temperature 0 there is nothing to filter: the most probable token is taken.
    """
    filters = coupling.filters.rows(rows)
    if not bool((filters.temperature > 0).any()):
        return logits
    drawn = filter_logits(logits, filters)
    return torch.where(filters.temperature[:, None] > 0, drawn, logits)


def _in_chunks(coupling: Coupling, shape: torch.Size, levels: Callable[[slice], Tensor]) -> Tensor:
    """The best token of levels plus noise, some positions at a time: noise is V-sized."""
    n_rows, n_tokens = shape
    size = max(_CHUNK // n_tokens, 1)
    parts = [
        _best(levels(rows), coupling, rows)
        for rows in (slice(at, min(at + size, n_rows)) for at in range(0, n_rows, size))
    ]
    return torch.cat(parts) if parts else coupling.keys[:0]


def _best(levels: Tensor, coupling: Coupling, rows: slice) -> Tensor:
    sampled = coupling.filters.temperature[rows] > 0
    noisy = levels
    if bool(sampled.any()):
        noise = gumbel(coupling.keys[rows], levels.shape[-1])
        noisy = levels + noise.mul_(sampled[:, None])
    value, token = noisy.max(-1)
    return torch.where(value > NEG_INF, token, -1)
