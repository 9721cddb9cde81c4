"""Tokens and confidences: distributions, filters, families."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfastllm.decoding.candidates import DrawParams, candidates, filter_logits, inverse_cdf
from dfastllm.decoding.noise import RANK_DRAW, TOKEN_DRAW, uniforms

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, 0.5, -3.0])


def draw(n: int, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, seed: int = 0):
    return DrawParams(
        temperature=torch.full((n,), temperature),
        top_p=torch.full((n,), top_p),
        top_k=torch.full((n,), top_k, dtype=torch.int64),
        uniform=torch.from_numpy(uniforms(seed, np.arange(n), 0, TOKEN_DRAW)),
    )


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    kept = expected > 0
    return float((((observed - expected) ** 2)[kept] / expected[kept]).sum())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_draws_follow_the_tempered_softmax(temperature: float) -> None:
    n = 20_000
    found = candidates(LOGITS.repeat(n, 1), draw(n, temperature))
    expected = (LOGITS / temperature).softmax(-1).numpy() * n
    observed = np.bincount(found.token.numpy(), minlength=6)
    assert chi_square(observed, expected) < 25.7  # p = 0.0001 at 5 degrees of freedom


def test_confidence_is_raw_for_llada_and_filtered_for_dream() -> None:
    n = 200
    params = draw(n, temperature=0.5, top_k=3)
    raw = candidates(LOGITS.repeat(n, 1), params, confidence="raw")
    filtered = candidates(LOGITS.repeat(n, 1), params, confidence="filtered")
    assert torch.equal(raw.token, filtered.token)
    assert torch.allclose(raw.score, LOGITS.softmax(-1)[raw.token])
    kept = torch.full((6,), float("-inf")).index_copy(0, torch.tensor([0, 1, 4]), LOGITS[[0, 1, 4]])
    assert torch.allclose(filtered.score, (kept / 0.5).softmax(-1)[filtered.token])
    assert torch.allclose(filtered.logprob, raw.logprob)


def test_dreams_confidence_is_filtered_at_temperature_zero_too() -> None:
    found = candidates(
        LOGITS.repeat(1, 1), draw(1, temperature=0.0, top_k=2), confidence="filtered"
    )
    assert found.token.item() == 0
    assert found.score.item() == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item())


def test_the_mask_is_never_a_candidate_nor_counted() -> None:
    found = candidates(LOGITS.repeat(3, 1), draw(3), forbidden=(0,), n_top=6)
    assert (found.token != 0).all()
    rest = LOGITS.clone()
    rest[0] = float("-inf")
    assert torch.allclose(found.logprob, rest.log_softmax(-1)[found.token])


def test_logits_that_are_not_finite_are_told_apart() -> None:
    rows = LOGITS.repeat(4, 1)
    rows[1, 2] = float("nan")
    rows[2, 3] = float("inf")
    rows[3, 0] = float("-inf")
    assert candidates(rows, None).finite.tolist() == [True, False, False, True]


def test_entropy_and_margin_of_a_known_distribution() -> None:
    rows = torch.log(torch.tensor([[0.5, 0.25, 0.25], [1.0, 1e-30, 1e-30]]))
    found = candidates(rows, None, shape_statistics=True)
    assert found.entropy.tolist() == pytest.approx([1.0397, 0.0], abs=1e-3)
    assert found.margin.tolist() == pytest.approx([0.25, 1.0])


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(-20, 20), min_size=2, max_size=12),
    top_p=st.floats(0.01, 1.0),
    top_k=st.integers(0, 15),
    temperature=st.floats(0.05, 2.0),
)
def test_filters_keep_the_smallest_nucleus_of_the_best_k(values, top_p, top_k, temperature) -> None:
    logits = torch.tensor([values])
    kept = filter_logits(logits, draw(1, temperature, top_p, top_k))[0] > float("-inf")
    level = (logits[0] - logits.max()) / temperature
    order = level.sort(descending=True, stable=True).indices
    limit = top_k if 0 < top_k < len(values) else len(values)
    best = order[:limit]
    probability = level[best].softmax(-1)
    mass = torch.cat([torch.zeros(1), probability.cumsum(-1)[:-1]])
    expected = torch.zeros(len(values), dtype=torch.bool)
    clear = (mass - top_p).abs() > 1e-5  # at the very edge rounding decides
    expected[best[(mass < top_p) | (torch.arange(limit) == 0)]] = True
    assert kept.any()
    assert torch.equal(kept[best[clear]], expected[best[clear]])
    assert not kept[order[limit:]].any()


@pytest.mark.parametrize("temperature", [1e-3, 1e-20, 1e-38, 1e-45])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    found = candidates(LOGITS.repeat(50, 1) + 300, draw(50, temperature), confidence="filtered")
    assert (found.token == 0).all()
    assert (found.score == 1).all()


@pytest.mark.parametrize("uniform", [1e-300, 1 - 2**-53])
def test_a_draw_at_the_edge_is_a_possible_token(uniform: float) -> None:
    logits = torch.tensor([[float("-inf"), 0.0, 1.0, float("-inf")]])
    token = inverse_cdf(logits, torch.tensor([uniform], dtype=torch.float64)).item()
    assert token in (1, 2)


def test_uniforms_depend_on_seed_position_step_and_use_only() -> None:
    positions = np.arange(1000)
    base = uniforms(7, positions, 3, TOKEN_DRAW)
    assert np.array_equal(base[::-1], uniforms(7, positions[::-1], 3, TOKEN_DRAW))
    assert np.array_equal(base[5:6], uniforms(7, positions[5:6], 3, TOKEN_DRAW))
    for other in (
        uniforms(8, positions, 3, TOKEN_DRAW),
        uniforms(7, positions + 1, 3, TOKEN_DRAW),
        uniforms(7, positions, 4, TOKEN_DRAW),
        uniforms(7, positions, 3, RANK_DRAW),
    ):
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.15
        assert not np.array_equal(base, other)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1, -1])
def test_uniforms_are_uniform(seed: int) -> None:
    draws = uniforms(seed, np.arange(100_000), 0, TOKEN_DRAW)
    assert draws.min() > 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, bins=50, range=(0, 1))
    assert chi_square(counts, np.full(50, 2000.0)) < 104  # p = 0.00001 at 49 degrees


@pytest.mark.parametrize("kind", ["peaked", "flat", "ties", "equal", "hole"])
@pytest.mark.parametrize(
    ("top_p", "top_k"), [(0.9, 0), (0.2, 0), (0.9, 50), (1.0, 1500), (0.999, 0)]
)
def test_filters_of_a_large_vocabulary_are_those_of_the_whole_sorted(
    kind: str, top_p: float, top_k: int
) -> None:
    torch.manual_seed(4)
    logits = torch.randn(3, 5000) * (0.01 if kind == "flat" else 4.0)
    if kind == "ties":
        logits = logits.round()
    if kind == "equal":
        logits = torch.zeros_like(logits)
    if kind == "hole":
        logits[:, ::2] = float("-inf")
    found = filter_logits(logits.clone(), draw(3, 0.8, top_p, top_k)) > float("-inf")
    for row, kept in zip(logits, found, strict=True):
        order = row.sort(descending=True, stable=True).indices
        limit = top_k or len(row)
        level = ((row - row.max()) / 0.8)[order[:limit]].double()
        mass = level.softmax(-1).cumsum(-1) - level.softmax(-1)
        n = int(kept.sum())
        assert kept[order[:n]].all()  # the best, ties by their place
        assert not kept[order[limit:]].any()
        assert n == 1 or mass[n - 1] < top_p + 1e-5
        assert n == len(level) or mass[n] > top_p - 1e-5 or level[n] == float("-inf")
