"""What one row gets: lengths, ends, masks, counts, whatever the rule, block and cache."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfastllm.core import (
    CacheKind,
    DecodingParams,
    FinishReason,
    Remasking,
    Request,
    SamplingParams,
    StrategyName,
)
from support.fake_model import EOS, EOT, MASK, make_engine, pseudo_random, says
from support.reference import run

PROMPT = (1, 2, 3)

decodings = st.builds(
    DecodingParams,
    strategy=st.sampled_from(StrategyName),
    block_length=st.integers(1, 40),
    threshold=st.floats(0.05, 1.0),
    factor=st.floats(0.01, 4.0),
    remasking=st.sampled_from(Remasking),
    cache=st.sampled_from(CacheKind),
    lookahead=st.sampled_from([None, 0, 5, 32]),
    r=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    window=st.sampled_from([None, 0, 3, 200]),
)
samplings = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_p=st.sampled_from([0.2, 0.9, 1.0]),
    top_k=st.sampled_from([0, 1, 5]),
    seed=st.integers(0, 2**63 - 1),
)


@settings(max_examples=60, deadline=None)
@given(
    decoding=decodings,
    sampling=samplings,
    max_tokens=st.integers(1, 70),
    ignore_eos=st.booleans(),
    suffix=st.sampled_from([(), (5, 6)]),
    seed=st.integers(0, 1000),
)
def test_every_answer_is_whole_and_counted(
    decoding, sampling, max_tokens, ignore_eos, suffix, seed
) -> None:
    if decoding.strategy is StrategyName.APD:
        decoding = replace(decoding, cache=CacheKind.NONE)
    engine = make_engine(pseudo_random(seed), verifier=pseudo_random(seed + 1))
    request = Request(
        "r",
        PROMPT,
        max_tokens,
        sampling=sampling,
        decoding=decoding,
        ignore_eos=ignore_eos,
        suffix=suffix,
        stream_canvas=True,
    )
    outcome = run(engine, [request])["r"]
    stats, ids = outcome.last.stats, outcome.ids
    assert stats is not None
    assert MASK not in ids
    assert stats.completion_tokens == len(ids)
    assert stats.forward_passes <= max_tokens
    assert stats.prompt_tokens == len(PROMPT) + len(suffix)
    assert all(t.logprob <= 0 for t in outcome.tokens)
    if outcome.last.finish_reason is FinishReason.LENGTH:
        assert len(ids) == max_tokens
        assert ignore_eos or not {EOS, EOT} & set(ids)
    else:
        assert ids[-1] in (EOS, EOT)
        assert not {EOS, EOT} & set(ids[:-1])
        assert len(ids) <= max_tokens
    assert engine.load == (0, 0)
    assert engine._runner.pool.used_pages == 0
    assert engine._verifier is not None
    assert engine._verifier.pool.used_pages == 0


@pytest.mark.parametrize("block_length", [1, 4, 7, 32, 100])
@pytest.mark.parametrize("max_tokens", [1, 5, 33, 64])
def test_max_tokens_is_exact_whatever_the_block_length(block_length: int, max_tokens: int) -> None:
    engine = make_engine(pseudo_random())
    decoding = DecodingParams(StrategyName.FIXED, block_length)
    outcome = run(engine, [Request("r", PROMPT, max_tokens, decoding=decoding, ignore_eos=True)])
    assert len(outcome["r"].ids) == max_tokens
    assert outcome["r"].last.stats.forward_passes == max_tokens


def test_an_end_of_turn_fills_what_lies_right_of_it_and_ends_the_row() -> None:
    engine = make_engine(says([7, 8, 9, EOT], len(PROMPT)))
    outcome = run(engine, [Request("r", PROMPT, 64, stream_canvas=True)])["r"]
    assert outcome.ids == [7, 8, 9, EOT]
    assert outcome.last.finish_reason is FinishReason.STOP
    assert outcome.last.stats.completion_tokens == 4
    assert outcome.last.stats.forward_passes == 1
    assert outcome.last.canvas == (7, 8, 9, EOT) + (EOS,) * 60


def test_filler_is_ranked_last_under_a_fixed_quota() -> None:
    def script(position: int) -> torch.Tensor:  # surest of the filler, as trained models are
        logits = says([7, 8, 9, EOT], len(PROMPT))(position)
        return logits * (1.0 if position >= len(PROMPT) + 4 else 0.3)

    engine = make_engine(script)
    decoding = DecodingParams(StrategyName.FIXED, 32)
    outcome = run(engine, [Request("r", PROMPT, 32, decoding=decoding)])["r"]
    assert outcome.ids == [7, 8, 9, EOT]
    assert outcome.last.stats.tokens_per_forward == 1.0


def test_an_answer_of_filler_alone_ends_at_once() -> None:
    engine = make_engine(says([], len(PROMPT)))
    decoding = DecodingParams(StrategyName.FIXED, 32)
    outcome = run(engine, [Request("r", PROMPT, 64, decoding=decoding)])["r"]
    assert outcome.ids == [EOS]
    assert outcome.last.stats.forward_passes == 1


def test_steps_are_spread_over_the_blocks_and_all_used() -> None:
    engine = make_engine(pseudo_random())
    decoding = DecodingParams(StrategyName.FIXED, 8, steps=10)
    outcome = run(engine, [Request("r", PROMPT, 30, decoding=decoding, ignore_eos=True)])["r"]
    assert outcome.last.stats.forward_passes == 10
    assert len(outcome.ids) == 30


def test_a_growing_canvas_never_feeds_the_whole_limit() -> None:
    engine = make_engine(says([7] * 40 + [EOT], len(PROMPT)))
    decoding = DecodingParams(block_length=8, lookahead=8)
    outcome = run(engine, [Request("r", PROMPT, 400, decoding=decoding)])["r"]
    assert len(outcome.ids) == 41
    fed = [length for rows in engine._runner._model.forwards for length in rows]
    assert fed[0] == len(PROMPT) + 16
    assert max(fed) <= len(PROMPT) + 56


def test_an_infilled_answer_stands_before_its_suffix() -> None:
    seen: list[list[int]] = []
    engine = make_engine(says([7, 8], len(PROMPT)))
    engine._runner._model.before = lambda batch: seen.append(batch.token_ids.tolist())
    outcome = run(engine, [Request("r", PROMPT, 2, suffix=(5, 6))])["r"]
    assert seen[0] == [*PROMPT, MASK, MASK, 5, 6]
    assert outcome.ids == [7, 8]
    assert outcome.last.finish_reason is FinishReason.LENGTH


def test_logit_bias_forbids_and_forces() -> None:
    engine = make_engine(says([7, 8, 9], len(PROMPT)))
    ban = SamplingParams(logit_bias=((8, -100.0),))
    force = SamplingParams(logit_bias=((5, 100.0),))
    requests = [
        Request("ban", PROMPT, 3, sampling=ban),
        Request("force", PROMPT, 3, sampling=force),
    ]
    outcomes = run(engine, requests)
    assert 8 not in outcomes["ban"].ids
    assert outcomes["force"].ids == [5, 5, 5]


def test_alternatives_are_those_of_the_step_of_the_commit() -> None:
    engine = make_engine(pseudo_random(3))
    outcome = run(engine, [Request("r", PROMPT, 4, top_logprobs=3, ignore_eos=True)])["r"]
    for token in outcome.tokens:
        assert len(token.top) == 3
        assert token.top[0] == pytest.approx((token.token, token.logprob))
        assert token.top[0][1] >= token.top[1][1] >= token.top[2][1]


def test_the_seed_decides_a_sampled_answer() -> None:
    def answer(seed: int) -> list[int]:
        engine = make_engine(pseudo_random(scale=0.5))
        sampling = SamplingParams(temperature=1.0, seed=seed)
        return run(engine, [Request("r", PROMPT, 30, sampling=sampling)])["r"].ids

    assert answer(1) == answer(1)
    assert answer(1) != answer(2)
