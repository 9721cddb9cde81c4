"""Adaptive parallel decoding through the engine, against the paper's loop on real tiny models."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from dfastllm.core import (
    CacheKind,
    DecodingParams,
    FinishReason,
    Request,
    SamplingParams,
    StrategyName,
)
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.errors import InvalidRequest, PromptTooLong, RowFailed
from dfastllm.models.batch import ForwardBatch
from dfastllm.models.checkpoint import load_model
from support.apd_reference import decode, random_verifier
from support.fake_model import (
    CAUSAL,
    EOT,
    MASK,
    VOCAB,
    ScriptedModel,
    make_engine,
    pseudo_random,
    says,
)
from support.reference import VECTORS, drain, run

DRAFTERS = {
    family: load_model(VECTORS / f"{family}-tiny", device=torch.device("cpu"))
    for family in ("llada", "dream")
}
VERIFIERS = {
    family: random_verifier(model.spec.vocab_size, scale=0.6) for family, model in DRAFTERS.items()
}
APD = DecodingParams(StrategyName.APD)


def engine_of(family: str, **config: int) -> DFastLLMEngine:
    options = {"max_model_len": 256, **config}
    return DFastLLMEngine(DRAFTERS[family], EngineConfig(**options), verifier=VERIFIERS[family])


def requests_of(family: str) -> list[Request]:
    """Rows of every weight, length, look-ahead and way of drawing."""
    vocab = DRAFTERS[family].spec.vocab_size
    found = []
    for i in range(16):
        decoding = replace(
            APD,
            r=(0.0, 0.5, 0.9, 0.97, 1.0)[i % 5],
            lookahead=(None, 1, 4, 12)[i % 4],
            window=(None, 0, 3, 16, None, 500)[i % 6],
        )
        sampling = SamplingParams(
            temperature=(0.0, 0.5, 1.3)[i % 3],
            top_p=(1.0, 0.9)[i % 2],
            top_k=(0, 30, 0)[i % 3],
            seed=i,
            logit_bias=((7, 2.0),) if i % 4 == 3 else (),
        )
        prompt = tuple((7 * i + 13 * k) % (vocab - 20) for k in range(2 + 5 * i))
        found.append(Request(str(i), prompt, 12 + i, sampling=sampling, decoding=decoding))
    return found


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_rows_of_a_batch_are_what_the_papers_loop_gives_each_alone(family: str) -> None:
    requests = requests_of(family)
    together = run(engine_of(family, max_running=16), requests)
    most = 0
    for request in requests:
        ids, steps = decode(DRAFTERS[family], VERIFIERS[family], request)
        stats = together[request.request_id].last.stats
        assert stats is not None
        assert together[request.request_id].ids == ids
        assert stats.forward_passes == steps
        assert stats.accepted == len(ids)
        most = max(most, len(ids) - steps)
    assert most > 5  # not everything was refused


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_rows_that_verify_and_rows_that_do_not_share_steps_without_a_trace(family: str) -> None:
    """Rows join at different times, so that each is at another place of its answer."""
    requests = requests_of(family)[:8]
    others = [
        Request(f"{name}", tuple(range(3, 9 + i)), 20 + i, decoding=DecodingParams(name, 8))
        for i, name in enumerate((StrategyName.FIXED, StrategyName.THRESHOLD, StrategyName.FACTOR))
    ]
    cached = Request("dual", (5, 6), 24, decoding=DecodingParams(cache=CacheKind.DUAL))
    mixed = [r for pair in zip(requests, [*others, cached] * 2, strict=True) for r in pair]
    mixed = list({r.request_id: r for r in mixed}.values())
    crowded = run(engine_of(family, max_running=5, max_step_tokens=200), mixed)
    for request in mixed:
        alone = run(engine_of(family), [request])[request.request_id]
        other = crowded[request.request_id]
        assert alone.ids == other.ids
        assert alone.last.stats is not None
        assert other.last.stats is not None
        for count in ("forward_passes", "verifier_passes", "drafted", "accepted"):
            assert getattr(alone.last.stats, count) == getattr(other.last.stats, count)


def test_a_draft_accepted_whole_is_followed_by_one_judged_by_the_right_outputs() -> None:
    """Published code keeps the output that predicted the last draft token, one too early."""
    decoding = replace(APD, r=0.8, lookahead=2)
    whole = 0
    for seed in range(6):
        sampling = SamplingParams(temperature=0.7, seed=seed)
        request = Request(
            str(seed), (3, 1, 4), 24, sampling=sampling, decoding=decoding, ignore_eos=True
        )
        outcome = run(engine_of("llada"), [request])[str(seed)]
        ids, _ = decode(DRAFTERS["llada"], VERIFIERS["llada"], request)
        assert outcome.ids == ids
        assert outcome.last.stats is not None
        whole += 24 - outcome.last.stats.forward_passes  # each saves one forward
    assert whole > 30


def test_a_model_with_shifted_outputs_can_verify_itself() -> None:
    model = DRAFTERS["dream"]
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=256), verifier=model)
    requests = [r for r in requests_of("dream") if 0 < r.decoding.r < 1]
    outcomes = run(engine, requests)
    for request in requests:
        assert outcomes[request.request_id].ids == decode(model, model, request)[0]


def verifier_feeds(engine: DFastLLMEngine) -> list[tuple[int, int]]:
    """First position and length of every segment that goes to the verifier from now on."""
    assert engine._verifier is not None
    seen: list[tuple[int, int]] = []

    def watch(batch: ForwardBatch) -> None:
        seen.extend(
            (int(batch.positions[g.start]), (g.end - g.start) // g.n_rows) for g in batch.groups
        )

    model = engine._verifier._runner._model
    assert isinstance(model, ScriptedModel)
    model.before = watch
    return seen


def test_the_verifier_is_fed_each_accepted_token_once_and_each_refused_one_again() -> None:
    prompt = (1, 2, 3)
    drafter, verifier = says([7] * 20, 3), says([7, 7, 9, 9] + [7] * 20, 3)
    engine = make_engine(drafter, verifier=verifier)
    feeds = verifier_feeds(engine)
    decoding = replace(APD, r=0.4, lookahead=5)
    outcome = run(engine, [Request("r", prompt, 12, decoding=decoding, ignore_eos=True)])["r"]
    assert outcome.ids == [7] * 12
    # Two of five stand, then one, then all: whose last was never fed, and is the first now.
    assert feeds == [(0, 7), (5, 4), (6, 4), (10, 4)]
    stats = outcome.last.stats
    assert stats is not None
    assert (stats.forward_passes, stats.verifier_passes) == (4, 4)
    assert (stats.drafted, stats.accepted) == (5 + 5 + 5 + 4, 12)


def test_what_is_drafted_behind_the_end_of_the_turn_is_neither_judged_nor_counted() -> None:
    engine = make_engine(says([7, 8, EOT], 3), verifier=says([7, 8, EOT], 3))
    feeds = verifier_feeds(engine)
    decoding = replace(APD, lookahead=16)
    outcome = run(engine, [Request("r", (1, 2, 3), 64, decoding=decoding)])["r"]
    assert outcome.ids == [7, 8, EOT]
    assert outcome.last.finish_reason is FinishReason.STOP
    assert feeds == [(0, 5)]
    assert outcome.last.stats is not None
    assert (outcome.last.stats.drafted, outcome.last.stats.accepted) == (3, 3)


def test_an_end_of_turn_that_is_refused_does_not_end_the_answer() -> None:
    drafter, verifier = says([7, EOT], 3), says([7] * 6, 3)
    engine = make_engine(drafter, verifier=verifier)
    decoding = replace(APD, r=0.3)
    outcome = run(engine, [Request("r", (1, 2, 3), 6, decoding=decoding)])["r"]
    assert outcome.ids == [7, EOT]  # forced in the second step, as the first token of its draft
    assert outcome.last.stats is not None
    assert outcome.last.stats.forward_passes == 2


def test_weight_1_accepts_everything_and_asks_no_verifier() -> None:
    engine = make_engine(pseudo_random(), verifier=pseudo_random(9))
    feeds = verifier_feeds(engine)
    sampling = SamplingParams(temperature=1.0, seed=4)
    decoding = replace(APD, r=1.0)
    request = Request("r", (1, 2), 30, sampling=sampling, decoding=decoding, ignore_eos=True)
    stats = run(engine, [request])["r"].last.stats
    assert stats is not None
    assert (stats.forward_passes, stats.verifier_passes, stats.accepted) == (1, 0, 30)
    assert not feeds


def test_the_first_token_is_the_drafters_whatever_the_verifier_says() -> None:
    engine = make_engine(says([7] * 9, 3), verifier=says([9] * 9, 3))
    decoding = replace(APD, r=0.0)
    outcome = run(engine, [Request("r", (1, 2, 3), 6, decoding=decoding, ignore_eos=True)])["r"]
    assert outcome.ids == [7] * 6
    assert outcome.last.stats is not None
    assert outcome.last.stats.forward_passes == 6


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_biases_and_the_mask_count_for_both_models(temperature: float) -> None:
    def masks(position: int) -> torch.Tensor:
        logits = says([7] * 40, 2)(position)
        logits[MASK] = 30.0
        return logits

    engine = make_engine(masks, verifier=masks)
    sampling = SamplingParams(temperature=temperature, logit_bias=((5, 100.0),))
    request = Request("r", (1, 2), 20, sampling=sampling, decoding=APD, ignore_eos=True)
    outcome = run(engine, [request])["r"]
    assert outcome.ids == [5] * 20
    assert outcome.last.stats is not None
    assert outcome.last.stats.forward_passes == 1


def test_logprobs_are_the_drafters_when_it_drafted() -> None:
    engine = make_engine(pseudo_random(3), verifier=pseudo_random(4))
    sampling = SamplingParams(temperature=0.8, seed=1)
    request = Request(
        "r", (1, 2), 12, sampling=sampling, decoding=APD, top_logprobs=3, ignore_eos=True
    )
    for i, token in enumerate(run(engine, [request])["r"].tokens):
        logits = pseudo_random(3)(2 + i)
        logits[MASK] = float("-inf")
        expected = logits.log_softmax(-1)
        assert token.logprob == pytest.approx(float(expected[token.token]), abs=1e-5)
        assert [t for t, _ in token.top] == expected.topk(3).indices.tolist()


def test_a_suffix_stands_and_the_answer_before_it_is_filled_from_the_left() -> None:
    engine = make_engine(says([7, 8, 9], 2), verifier=says([7, 8, 9], 2))
    decoding = replace(APD, lookahead=1)
    outcome = run(engine, [Request("r", (1, 2), 3, suffix=(5, 6), decoding=decoding)])["r"]
    assert outcome.ids == [7, 8, 9]
    assert outcome.last.finish_reason is FinishReason.LENGTH


def test_a_small_look_ahead_feeds_as_many_masks_as_it_says() -> None:
    engine = make_engine(says([7] * 60, 3), verifier=says([7] * 60, 3))
    decoding = replace(APD, lookahead=8)
    outcome = run(engine, [Request("r", (1, 2, 3), 50, decoding=decoding, ignore_eos=True)])["r"]
    assert len(outcome.ids) == 50
    fed = [length for rows in engine._runner._model.forwards for length in rows]
    assert fed == [3 + 8 * (i + 1) for i in range(6)] + [53]


def ask(**options: Any) -> Request:
    return Request("r", (1, 2, 3), 16, decoding=replace(APD, **options), ignore_eos=True)


def test_without_a_verifier_and_with_another_cache_it_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="verifier") as caught:
        make_engine(pseudo_random()).add([ask()])
    assert caught.value.param == "diffusion.strategy"
    with pytest.raises(InvalidRequest, match="window") as caught:
        make_engine(pseudo_random(), verifier=pseudo_random()).add([ask(cache=CacheKind.DUAL)])
    assert caught.value.param == "diffusion.cache"


def test_a_row_longer_than_the_verifiers_context_is_refused_and_others_are_not() -> None:
    short = ScriptedModel(pseudo_random(), replace(CAUSAL, max_position=18))
    model = ScriptedModel(pseudo_random())
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=64), verifier=short)
    with pytest.raises(PromptTooLong, match="18"):
        engine.add([ask()])
    assert run(engine, [replace(ask(), decoding=DecodingParams())])["r"].last.error is None


def test_pages_of_both_models_are_taken_together_and_come_back() -> None:
    engine = make_engine(
        pseudo_random(), verifier=pseudo_random(1), max_running=4, kv_cache_tokens=64
    )
    assert engine._verifier is not None
    pools = (engine._runner.pool, engine._verifier.pool)
    for window, used in ((4, (1, 1)), (None, (0, 1))):
        requests = [
            Request(str(i), (1, 2, 3), 20, decoding=replace(APD, window=window), ignore_eos=True)
            for i in range(4)
        ]
        engine.add(requests)
        engine.step()
        assert engine.load == (2, 2)  # as many as the verifier has pages for
        assert tuple(pool.used_pages for pool in pools) == (2 * used[0], 2 * used[1])
        engine.cancel("0")
        drain(engine, ["1", "2", "3"])
        assert [pool.used_pages for pool in pools] == [0, 0]
    with pytest.raises(InvalidRequest, match="verifier"):
        engine.add([Request("long", tuple(range(1, 9)) * 8, 20, decoding=APD)])
    with pytest.raises(InvalidRequest, match="window"):
        engine.add([Request("r", tuple(range(1, 9)) * 8, 20, decoding=replace(APD, window=2))])


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_verifier_that_answers_nonsense_fails_its_row_only(poison: float) -> None:
    usual = pseudo_random(2)

    def script(position: int) -> torch.Tensor:
        return torch.full((VOCAB,), poison) if position > 40 else usual(position)

    engine = make_engine(pseudo_random(), verifier=script)
    bad = Request("bad", tuple(range(1, 20)) * 3, 16, decoding=APD)
    outcomes = run(engine, [ask(), bad])
    assert isinstance(outcomes["bad"].last.error, RowFailed)
    assert outcomes["r"].last.error is None


def test_a_verifier_that_breaks_on_a_row_fails_that_row_only() -> None:
    def before(batch: ForwardBatch) -> None:
        if batch.n_tokens > 60 or any(g.end - g.start > 50 for g in batch.groups):
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = make_engine(pseudo_random(), verifier=pseudo_random(1))
    assert engine._verifier is not None
    engine._verifier._runner._model.before = before
    big = Request("big", tuple(range(1, 20)) * 3, 16, decoding=APD)
    others = [replace(ask(), request_id=f"{i}") for i in range(5)]
    outcomes = run(engine, [*others, big])
    assert "device memory" in str(outcomes.pop("big").last.error)
    assert all(outcome.last.error is None for outcome in outcomes.values())


@pytest.mark.parametrize("what", ["draft", "target"])
def test_memory_that_is_short_while_drawing_fails_or_splits_but_never_ends_the_engine(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    import dfastllm.engine.verifier as verifying

    usual = getattr(verifying, what)

    def hungry(logits: torch.Tensor, *args: Any) -> torch.Tensor:
        if logits.shape[0] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(logits, *args)

    rows = [Request(str(i), (1, 2, 3 + i), 12, decoding=APD, ignore_eos=True) for i in range(5)] + [
        Request("huge", (1, 2, 3), 60, decoding=APD, ignore_eos=True)
    ]
    alone = {
        r.request_id: run(make_engine(pseudo_random(), verifier=pseudo_random(1)), [r])
        for r in rows
    }
    monkeypatch.setattr(verifying, what, hungry)
    outcomes = run(make_engine(pseudo_random(), verifier=pseudo_random(1)), rows)
    assert "device memory" in str(outcomes.pop("huge").last.error)
    for name, outcome in outcomes.items():
        assert outcome.ids == alone[name][name].ids
        assert outcome.last.stats == replace(
            alone[name][name].last.stats,
            queue_s=outcome.last.stats.queue_s,
            compute_s=outcome.last.stats.compute_s,
            first_token_s=outcome.last.stats.first_token_s,
        )


def test_a_verifier_with_a_smaller_vocabulary_never_confirms_what_it_lacks() -> None:
    few = replace(CAUSAL, vocab_size=8, embedding_rows=8)

    def of_few(position: int) -> torch.Tensor:
        return pseudo_random(1)(position)[:8]

    def script(position: int) -> torch.Tensor:
        return says([7, 9, 7, 9], 3)(position)

    model, verifier = ScriptedModel(script), ScriptedModel(of_few, few)
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=64), verifier=verifier)
    request = Request("r", (1, 2, 3), 4, decoding=replace(APD, r=0.9), ignore_eos=True)
    outcome = run(engine, [request])["r"]
    assert outcome.ids == [7, 9, 7, 9]
    assert outcome.last.stats is not None
    assert outcome.last.stats.forward_passes >= 3  # each 9 only as the first of its draft


def test_the_seed_decides_and_temperature_0_needs_none() -> None:
    def answer(seed: int, temperature: float) -> list[int]:
        sampling = SamplingParams(temperature=temperature, seed=seed)
        request = replace(ask(), sampling=sampling)
        engine = make_engine(pseudo_random(scale=0.5), verifier=pseudo_random(8))
        return run(engine, [request])["r"].ids

    assert answer(1, 1.0) == answer(1, 1.0)
    assert answer(1, 1.0) != answer(2, 1.0)
    assert answer(1, 0.0) == answer(2, 0.0)
