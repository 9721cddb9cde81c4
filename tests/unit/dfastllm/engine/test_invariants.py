"""Equalities that hold between rules, caches and batches on a real (tiny, random) model."""

import pytest
import torch

from dfastllm.cache.policy import CachePolicy
from dfastllm.core import CacheKind, DecodingParams, Request, SamplingParams, StrategyName
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.models.checkpoint import load_model
from support.reference import VECTORS, run

MODELS = {
    family: load_model(VECTORS / f"{family}-tiny", device=torch.device("cpu"))
    for family in ("llada", "dream")
}


def engine_of(family: str, policy: CachePolicy | None = None, **config: int) -> DFastLLMEngine:
    options = {"max_model_len": 256, **config}
    return DFastLLMEngine(MODELS[family], EngineConfig(**options), policy=policy)


def mixed_requests() -> list[Request]:
    """Rows of every strategy, cache, length and sampling."""
    requests = []
    for i in range(12):
        decoding = DecodingParams(
            strategy=list(StrategyName)[i % 3],
            block_length=(8, 16, 32, 5)[i % 4],
            threshold=0.05,
            factor=1.5,
            cache=list(CacheKind)[(i // 2) % 3],
        )
        sampling = SamplingParams(temperature=(0.0, 0.8)[i % 2], top_k=(0, 40)[i % 2], seed=i)
        prompt = tuple((7 * i + 13 * k) % 490 for k in range(3 + 5 * i))
        requests.append(Request(str(i), prompt, 20 + i, sampling=sampling, decoding=decoding))
    return requests


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_an_answer_is_the_same_alone_and_in_a_batch(family: str) -> None:
    requests = mixed_requests()
    together = run(engine_of(family, max_running=12), requests)
    for request in requests:
        alone = run(engine_of(family), [request])[request.request_id]
        other = together[request.request_id]
        assert alone.ids == other.ids
        assert alone.last.stats.forward_passes == other.last.stats.forward_passes


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_an_answer_is_the_same_when_others_join_and_steps_are_short(family: str) -> None:
    requests = mixed_requests()
    crowded = run(engine_of(family, max_running=5, max_step_tokens=150), requests)
    for request in requests[:4]:
        alone = run(engine_of(family), [request])[request.request_id]
        assert alone.ids == crowded[request.request_id].ids


class RefreshAlways(CachePolicy):
    """Every forward feeds everything, and stores it."""

    def plan(self, kind, block, length, fresh, kept=0):
        return super().plan(kind, block, length, fresh=False)


@pytest.mark.parametrize("family", ["llada", "dream"])
@pytest.mark.parametrize("cache", [CacheKind.PREFIX, CacheKind.DUAL])
def test_a_cache_refreshed_in_every_step_equals_no_cache(family: str, cache: CacheKind) -> None:
    prompt = tuple(range(30, 50))
    decoding = DecodingParams(StrategyName.FIXED, 16, cache=cache)
    plain = DecodingParams(StrategyName.FIXED, 16)
    with_cache = run(
        engine_of(family, RefreshAlways()), [Request("r", prompt, 48, decoding=decoding)]
    )
    without = run(engine_of(family), [Request("r", prompt, 48, decoding=plain)])
    assert with_cache["r"].ids == without["r"].ids


@pytest.mark.parametrize("family", ["llada", "dream"])
@pytest.mark.parametrize("cache", list(CacheKind))
def test_a_sure_threshold_and_a_tiny_factor_are_one_token_a_step(
    family: str, cache: CacheKind
) -> None:
    prompt = tuple(range(30, 50))

    def ids(decoding: DecodingParams) -> list[int]:
        request = Request("r", prompt, 40, decoding=decoding, ignore_eos=True)
        outcome = run(engine_of(family), [request])["r"]
        assert outcome.last.stats.forward_passes == 40
        return outcome.ids

    one = ids(DecodingParams(StrategyName.FIXED, 8, cache=cache))
    assert ids(DecodingParams(StrategyName.THRESHOLD, 8, threshold=1.0, cache=cache)) == one
    assert ids(DecodingParams(StrategyName.FACTOR, 8, factor=1e-9, cache=cache)) == one


def test_caches_feed_what_they_promise() -> None:
    for cache, fed in [
        (CacheKind.NONE, [60, 60, 60, 60]),
        (CacheKind.PREFIX, [60, 40, 60, 20]),
        (CacheKind.DUAL, [60, 20, 60, 20]),
    ]:
        engine = engine_of("llada")
        lengths: list[int] = []
        forward = engine._runner._model.forward

        def watch(batch, pool, lengths=lengths, forward=forward):
            lengths.append(batch.n_tokens)
            return forward(batch, pool)

        engine._runner._model = watch
        decoding = DecodingParams(StrategyName.FIXED, 20, steps=4, cache=cache)
        request = Request("r", tuple(range(20)), 40, decoding=decoding, ignore_eos=True)
        outcome = run(engine, [request])["r"]
        assert lengths == fed
        assert outcome.last.stats.refresh_passes == sum(n == 60 for n in fed)


def test_rows_share_forwards_at_different_steps_and_blocks() -> None:
    engine = engine_of("llada", max_running=3)
    decoding = DecodingParams(StrategyName.FIXED, 8)
    long = Request("long", (1, 2, 3), 24, decoding=decoding, ignore_eos=True)
    engine.add([long])
    for _ in range(10):
        engine.step()
    short = Request("short", (4, 5), 8, decoding=decoding, ignore_eos=True)
    outcomes = {d.request_id: d for d in _steps_until_done(engine, short)}
    assert outcomes["short"].stats.forward_passes == 8
    assert outcomes["long"].stats is None  # still running: the short one joined and left beside it
    assert engine.load == (1, 0)


def _steps_until_done(engine: DFastLLMEngine, request: Request) -> list:
    engine.add([request])
    for _ in range(100):
        deltas = engine.step()
        if any(d.request_id == request.request_id and d.done for d in deltas):
            return deltas
    raise AssertionError("never ended")
