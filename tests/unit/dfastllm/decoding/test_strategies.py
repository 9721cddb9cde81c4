"""Decoding rules on hand-written confidences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfastllm.core import DecodingParams
from dfastllm.decoding.confidence import Factor, Threshold
from dfastllm.decoding.fixed import Fixed
from dfastllm.decoding.schedule import dream_quota, linear_quota, steps_of_block
from dfastllm.decoding.strategy import BlockView, RowView


def view_of(
    confidence: list[list[float | None]],
    params: list[DecodingParams] | None = None,
    filler: list[list[bool]] | None = None,
    step: int = 0,
    steps: int = 1,
) -> BlockView:
    """None marks a position that is not masked."""
    values = torch.tensor([[-torch.inf if c is None else c for c in row] for row in confidence])
    masked = torch.tensor([[c is not None for c in row] for row in confidence])
    params = params or [DecodingParams()] * len(confidence)
    left = masked.sum(-1).tolist()
    return BlockView(
        masked=masked,
        token=torch.zeros_like(masked, dtype=torch.int64),
        confidence=values,
        score=values,
        filler=torch.tensor(filler) if filler else torch.zeros_like(masked),
        rows=[RowView(p, step, steps, n, n) for p, n in zip(params, left, strict=True)],
        state=[None] * len(confidence),
    )


def test_threshold_commits_the_sure_ones_and_always_the_surest() -> None:
    params = [DecodingParams(threshold=t) for t in (0.9, 0.5, 0.99)]
    view = view_of([[0.95, 0.9, None, 0.1], [0.4, None, 0.3, 0.2], [0.2, 0.98, 0.3, None]], params)
    assert Threshold().choose(view).commit.tolist() == [
        [True, True, False, False],
        [True, False, False, False],
        [False, True, False, False],
    ]


def test_factor_takes_more_the_surer_the_nth_is() -> None:
    # (n + 1)(1 - c_n) <= 1: .9 passes as 1st, .8 as 2nd (.6), .76 as 3rd (.96), .7 not as 4th (1.5)
    view = view_of([[0.8, 0.7, 0.9, 0.76]], [DecodingParams(factor=1.0)])
    assert Factor().choose(view).commit.tolist() == [[True, False, True, True]]


def test_factor_takes_all_when_none_breaks_the_bound_and_stops_at_the_first_that_does() -> None:
    sure = [DecodingParams(factor=1.0)]
    assert Factor().choose(view_of([[1.0, 1.0, 1.0]], sure)).commit.all()
    # the second breaks it; the third would pass alone but comes later
    view = view_of([[0.99, 0.5, 0.5]], [DecodingParams(factor=1.2)])
    assert Factor().choose(view).commit.tolist() == [[True, False, False]]


def test_fixed_commits_its_quota_by_score() -> None:
    view = view_of([[0.1, 0.9, None, 0.5, 0.4]])
    assert Fixed(lambda row: 2).choose(view).commit.tolist() == [[False, True, False, True, False]]


def test_fixed_ranks_filler_last_and_leftmost_first() -> None:
    filler = [[False, True, True, True]]
    view = view_of([[0.1, 0.8, 0.9, 0.99]], filler=filler)
    assert Fixed(lambda row: 1).choose(view).commit.tolist() == [[True, False, False, False]]
    assert Fixed(lambda row: 2).choose(view).commit.tolist() == [[True, True, False, False]]


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.lists(
            st.one_of(st.none(), st.floats(0.0, 1.0, width=32)), min_size=6, max_size=6
        ).filter(lambda row: any(c is not None for c in row)),
        min_size=1,
        max_size=5,
    ),
    threshold=st.floats(0, 1),
    factor=st.floats(0.001, 10),
)
def test_every_rule_makes_progress_inside_the_masks_and_rows_are_independent(
    rows, threshold, factor
) -> None:
    params = DecodingParams(threshold=threshold, factor=factor)
    for rule in (Threshold(), Factor(), Fixed(linear_quota)):
        together = rule.choose(view_of(rows, [params] * len(rows), steps=3)).commit
        masked = torch.tensor([[c is not None for c in row] for row in rows])
        assert together.any(-1).all()
        assert not (together & ~masked).any()
        for i, row in enumerate(rows):
            alone = rule.choose(view_of([row], [params], steps=3)).commit
            assert torch.equal(alone[0], together[i])


@settings(max_examples=200, deadline=None)
@given(masks=st.integers(1, 200), steps=st.integers(1, 200))
def test_a_block_is_full_after_its_steps_whatever_the_schedule(masks: int, steps: int) -> None:
    for quota in (linear_quota, dream_quota):
        left, step = masks, 0
        while left:
            taken = quota(RowView(DecodingParams(), step, steps, masks, left))
            assert 1 <= taken <= left
            left, step = left - taken, step + 1
        assert step <= steps


@given(total=st.integers(1, 500), n_blocks=st.integers(1, 50))
def test_steps_are_shared_out_evenly_and_completely(total: int, n_blocks: int) -> None:
    shares = [steps_of_block(total, b, n_blocks) for b in range(n_blocks)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_llada_spreads_masks_with_the_remainder_first() -> None:
    rows = [RowView(DecodingParams(), s, 4, 10, 10) for s in range(3)]
    assert [linear_quota(r) for r in rows] == [3, 3, 2]


def test_dream_starts_slowly_on_its_time_grid() -> None:
    quotas, left = [], 48
    for step in range(24):
        taken = dream_quota(RowView(DecodingParams(), step, 24, 48, left))
        quotas.append(taken)
        left -= taken
    assert sum(quotas) == 48
    assert quotas[0] == 1
    assert quotas[-1] >= 2


@pytest.mark.parametrize("rule", [Threshold(), Factor(), Fixed(lambda row: 1)])
def test_a_tie_goes_to_the_leftmost(rule) -> None:
    view = view_of([[None, 0.2, 0.2, 0.2]], [DecodingParams(threshold=1.0, factor=1e-9)])
    assert rule.choose(view).commit.tolist() == [[False, True, False, False]]
