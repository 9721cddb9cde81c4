"""Adaptive parallel decoding on a toy vocabulary: what is drawn follows the paper's distributions.

Draws are fixed by their seed, so the tests are exact: either the formula holds or it does not.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from dfastllm.cache.policy import CachePolicy, Feed
from dfastllm.core import CacheKind, DecodingParams, StrategyName
from dfastllm.decoding.apd import Apd, Coupling, accepted_prefix, draft, mix, target
from dfastllm.decoding.candidates import Filters
from dfastllm.decoding.noise import gumbel, token_keys, uniforms
from dfastllm.decoding.strategy import RowView

N = 60_000
DRAFTER = torch.tensor([1.2, 0.3, -0.5, 0.9, -2.0, 0.0])
VERIFIER = torch.tensor([-0.4, 1.5, 0.2, 0.6, -1.0, -0.3])
VOCAB = len(DRAFTER)
# Chi-square beyond which a thousandth of all samples lie, by degrees of freedom.
CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52}


def coupling(
    n: int = N,
    *,
    temperature: float = 1.0,
    r: float = 0.5,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 1,
    step: int = 0,
) -> Coupling:
    keys = torch.from_numpy(token_keys(seed, np.arange(n), step))
    filters = Filters(
        torch.full((n,), temperature), torch.full((n,), top_p), torch.full((n,), top_k)
    )
    return Coupling(filters, keys, torch.full((n,), r))


def rows(logits: Tensor, n: int = N) -> Tensor:
    return logits.repeat(n, 1)


def assert_follows(tokens: Tensor, probability: Tensor) -> None:
    """Chi-square against `probability`; what is impossible must not have been drawn."""
    counts = tokens.bincount(minlength=len(probability)).double()
    expected = probability.double() * len(tokens)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert statistic < CRITICAL[int(possible.sum()) - 1], (counts, expected)


def filtered(logits: Tensor, temperature: float, best: int) -> Tensor:
    """Log-probabilities of the `best` most probable tokens."""
    kept = torch.full_like(logits, float("-inf"))
    order = logits.argsort(descending=True)[:best]
    kept[order] = logits[order] / temperature
    return kept.log_softmax(-1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7])
def test_the_draft_is_the_drafters_own_sample_tempered_once(temperature: float) -> None:
    # Published code raises the noise to the power T as well, which tempers by its square.
    tokens = draft(rows(DRAFTER), coupling(temperature=temperature))
    assert_follows(tokens, (DRAFTER / temperature).softmax(-1))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("r", [0.0, 0.3, 0.8, 1.0])
def test_the_target_follows_the_mixed_distribution(temperature: float, r: float) -> None:
    # Published code takes the best of the untempered mixture: no sample at all.
    drawn = target(rows(DRAFTER), rows(VERIFIER), coupling(temperature=temperature, r=r))
    mixed = (r * DRAFTER + (1 - r) * VERIFIER) / temperature
    assert_follows(drawn, mixed.softmax(-1))


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_both_draws_agree_at_a_token_as_often_as_gumbel_coupling_says(
    temperature: float, r: float
) -> None:
    how = coupling(temperature=temperature, r=r)
    first, second = draft(rows(DRAFTER), how), target(rows(DRAFTER), rows(VERIFIER), how)
    p = (DRAFTER / temperature).softmax(-1)
    q = ((r * DRAFTER + (1 - r) * VERIFIER) / temperature).softmax(-1)
    ratio = torch.maximum(p[None, :] / p[:, None], q[None, :] / q[:, None])  # [v, u]
    both = 1 / ratio.sum(-1)
    outcome = torch.where(first == second, first, VOCAB)  # the last class: they differ
    counts = outcome.bincount(minlength=VOCAB + 1).double()
    expected = torch.cat([both, 1 - both.sum(0, keepdim=True)]).double() * N
    assert ((counts - expected) ** 2 / expected).sum() < 22.46  # six degrees of freedom
    independent = (p * q).sum()
    assert both.sum() > independent  # which is why the noise is shared


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_top_k_cuts_both_distributions_before_they_are_mixed(temperature: float) -> None:
    drawn = target(rows(DRAFTER), rows(VERIFIER), coupling(temperature=temperature, top_k=3))
    mixed = 0.5 * filtered(DRAFTER, temperature, 3) + 0.5 * filtered(VERIFIER, temperature, 3)
    possible = mixed > float("-inf")
    assert int(possible.sum()) == 2  # of two times three, only these are among both
    assert_follows(drawn, mixed.softmax(-1))


def test_top_p_cuts_both_distributions_before_they_are_mixed() -> None:
    how = coupling(top_p=0.85)
    nucleus = [_nucleus(logits, 0.85) for logits in (DRAFTER, VERIFIER)]
    mixed = sum(
        0.5 * filtered(x, 1.0, n) for x, n in zip((DRAFTER, VERIFIER), nucleus, strict=True)
    )
    assert_follows(target(rows(DRAFTER), rows(VERIFIER), how), mixed.softmax(-1))
    assert_follows(draft(rows(DRAFTER), how), filtered(DRAFTER, 1.0, nucleus[0]).exp())


def _nucleus(logits: Tensor, top_p: float) -> int:
    mass = logits.softmax(-1).sort(descending=True).values.cumsum(-1)
    return int((mass < top_p).sum()) + 1


def test_what_is_possible_under_one_alone_is_never_agreed_on() -> None:
    how = coupling(100, top_k=1)  # the best tokens of the two differ
    assert (target(rows(DRAFTER, 100), rows(VERIFIER, 100), how) == -1).all()


def test_all_of_the_draft_is_accepted_at_weight_1_and_the_verifier_alone_decides_at_0() -> None:
    alone = coupling(r=1.0)
    assert torch.equal(draft(rows(DRAFTER), alone), target(rows(DRAFTER), rows(VERIFIER), alone))
    nothing = torch.full((VOCAB,), float("-inf"))
    nothing[2] = 0.0
    assert (target(rows(nothing), rows(VERIFIER), coupling(r=0.0)).bincount() > 0).sum() > 3


def test_at_temperature_0_both_take_the_best_and_filters_do_not_matter() -> None:
    mixed = mix(DRAFTER[None], VERIFIER[None], torch.tensor([0.3]))
    for how in (
        coupling(50, temperature=0.0, r=0.3),
        coupling(50, temperature=0.0, r=0.3, top_k=1),
        coupling(50, temperature=0.0, r=0.3, top_p=0.1),
    ):
        assert (draft(rows(DRAFTER, 50), how) == DRAFTER.argmax()).all()
        assert (target(rows(DRAFTER, 50), rows(VERIFIER, 50), how) == mixed.argmax()).all()


def test_the_prefix_ends_at_the_first_disagreement_and_holds_the_first_token_always() -> None:
    agreed = torch.tensor(
        [[True, True, False, True], [False, True, True, False], [False, False, True, True]]
    )
    assert accepted_prefix(agreed).tolist() == [
        [True, True, False, False],
        [True, True, True, False],
        [True, False, False, False],
    ]


def test_noise_is_the_positions_own_whatever_stands_beside_it() -> None:
    keys = torch.from_numpy(token_keys(3, np.arange(40), 5))
    noise = gumbel(keys, 97)
    assert torch.equal(noise[7:9], gumbel(keys[7:9], 97))
    assert torch.equal(noise[:, :50], gumbel(keys, 50))
    for other in (token_keys(4, np.arange(40), 5), token_keys(3, np.arange(40), 6)):
        assert not torch.isclose(noise, gumbel(torch.from_numpy(other), 97)).any()


def test_noise_is_gumbel_distributed_and_independent_of_the_other_draws() -> None:
    noise = gumbel(torch.from_numpy(token_keys(0, np.arange(2000), 0)), 500)
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.005)
    assert float(noise.var()) == pytest.approx(np.pi**2 / 6, abs=0.01)
    tail = (noise > 10).double().mean()
    assert float(tail) == pytest.approx(4.54e-5, rel=0.3)
    drawn = torch.from_numpy(uniforms(0, np.arange(2000), 0, 1))
    assert abs(float(torch.corrcoef(torch.stack([drawn, noise[:, 0]]))[0, 1])) < 0.1


def view(step: int, start: int, recent: int, window: int | None) -> RowView:
    params = DecodingParams(StrategyName.APD, window=window)
    return RowView(params, step, 1, 10, 10, start=start, recent=recent)


WHOLE = CachePolicy().plan(CacheKind.NONE, (20, 60), 60, fresh=False)


def test_without_a_window_everything_is_fed_and_nothing_kept() -> None:
    assert Apd().feed(view(3, 20, 4, None), WHOLE) == WHOLE


@pytest.mark.parametrize(
    ("step", "start", "recent", "window", "fed_from"),
    [(0, 20, 0, 5, 0), (1, 24, 4, 5, 15), (7, 24, 4, 0, 20), (7, 24, 1, 0, 23), (1, 24, 4, 99, 0)],
)
def test_a_window_feeds_what_was_committed_last_and_as_much_left_of_it(
    step: int, start: int, recent: int, window: int, fed_from: int
) -> None:
    feed = Apd().feed(view(step, start, recent, window), WHOLE)
    assert feed == Feed(fed_from, 60, 60, refresh=fed_from == 0, store=True)
    if step:
        assert feed.start < start  # shifted logits of the first mask stand one further left
