"""Models that read their context causally: caches, windows and batches change nothing at all."""

from collections import defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from dfastllm.cache.policy import CachePolicy, Feed
from dfastllm.cache.pool import KVPool
from dfastllm.core import CacheKind, DecodingParams, Request, SamplingParams, StrategyName
from dfastllm.decoding.registry import strategies
from dfastllm.decoding.strategy import BlockView, Choice, Strategy
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.errors import InvalidRequest
from dfastllm.models.batch import ForwardBatch, Segment, pack
from dfastllm.models.checkpoint import load_model
from dfastllm.models.transformer import Transformer
from support.apd_reference import decode, random_verifier
from support.causal_context import DenseDream, causal_context_checkpoint
from support.fake_model import SPEC, ScriptedModel, make_engine, pseudo_random
from support.reference import run

CPU = torch.device("cpu")
KINDS = list(CacheKind)
WINDOWS = (None, 0, 7, 500)
APD = DecodingParams(StrategyName.APD)
CAUSAL_CONTEXT = replace(SPEC, shift_logits=True, causal_context=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return causal_context_checkpoint(tmp_path_factory.mktemp("dream"))


@pytest.fixture(scope="module")
def dream(folder: Path) -> Transformer:
    return load_model(folder, device=CPU)


@pytest.fixture(scope="module")
def llada(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    folder = causal_context_checkpoint(tmp_path_factory.mktemp("llada"), "llada")
    return load_model(folder, device=CPU)


def ids(n: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, 490, n).tolist()


def prompt(i: int) -> tuple[int, ...]:
    return tuple(ids(1 + 6 * i, i))


def sampling(i: int) -> SamplingParams:
    return SamplingParams(temperature=(0.0, 0.8)[i % 2], top_k=(0, 40)[i % 2], seed=i)


def row(name: str, i: int, decoding: DecodingParams) -> Request:
    return Request(name, prompt(i), 33, sampling=sampling(i), decoding=decoding, ignore_eos=True)


BLOCK_RULES = [
    DecodingParams(StrategyName.FIXED, 8),
    DecodingParams(StrategyName.THRESHOLD, 16, threshold=0.3),
    DecodingParams(StrategyName.FACTOR, 5, factor=1.6),
    DecodingParams(StrategyName.FIXED, 16, steps=9),
]


def block_rows() -> list[Request]:
    """The same four rows under every cache and with a canvas of every length."""
    return [
        row(f"{i} {kind} {lookahead}", i, replace(rule, cache=kind, lookahead=lookahead))
        for i, rule in enumerate(BLOCK_RULES)
        for kind in KINDS
        for lookahead in (None, 0, 4)
    ]


def window_rows() -> list[Request]:
    """The same three rows of adaptive parallel decoding under every window."""
    return [
        row(f"apd{i} {window}", i, replace(APD, r=r, lookahead=lookahead, window=window))
        for i, (r, lookahead) in enumerate(((0.5, 8), (0.9, 16), (0.97, None)))
        for window in WINDOWS
    ]


def engine_of(model: Transformer, **config: int) -> DFastLLMEngine:
    verifier = random_verifier(model.spec.vocab_size, scale=0.6)
    options = {"max_model_len": 256, **config}
    return DFastLLMEngine(model, EngineConfig(**options), verifier=verifier)


# -- what the model computes --------------------------------------------------------------------


def test_rows_of_one_forward_equal_the_dense_definition(dream: Transformer, folder: Path) -> None:
    """Context of several lengths beside a row read whole and one read causally."""
    dense = DenseDream(folder)
    cases = [(30, 20, 30), (30, 20, 30), (33, 1, 12), (50, 49, 50), (25, 0, 25), (25, 25, 25)]
    rows = [ids(n, i) for i, (n, _, _) in enumerate(cases)]
    segments = [
        Segment(
            np.asarray(tokens[:end]),
            Feed(0, end, end, refresh=True, store=False, causal_until=start),
            np.arange(end),
        )
        for tokens, (_, start, end) in zip(rows, cases, strict=True)
    ]
    found = dream(pack(segments, CPU)).split([end for _, _, end in cases])
    for tokens, (_, start, end), logits in zip(rows, cases, found, strict=True):
        assert torch.allclose(logits, dense.logits(tokens, (start, end)), atol=2e-4)


def test_logits_from_kept_kv_equal_the_dense_definition(dream: Transformer, folder: Path) -> None:
    """Three rows of one batch, each through three blocks of 8 in two forwards each."""
    dense, spec = DenseDream(folder), dream.spec
    policy = CachePolicy(lead=1, causal_context=True)
    pool = KVPool(
        n_layers=spec.n_layers,
        n_pages=8,
        n_kv_heads=spec.n_kv_heads,
        head_dim=spec.head_dim,
        dtype=torch.float32,
        device=CPU,
    )
    rows = [(21, CacheKind.PREFIX, (5, 0)), (30, CacheKind.DUAL, (7, 2)), (9, CacheKind.NONE, ())]
    kept = [0, 0, 0]
    for block, filled in product(range(3), (0, 3)):
        segments, expected = [], []
        for i, (n_prompt, kind, pages) in enumerate(rows):
            start, end = n_prompt + 8 * block, n_prompt + 8 * (block + 1)
            tokens = [*ids(60, i)[: start + filled], *[spec.mask_id] * (8 - filled)]
            feed = policy.plan(kind, (start, end), 64, fresh=filled > 0, kept=kept[i])
            kept[i] = start if feed.store else 0
            fed = np.asarray(tokens[feed.start :])
            segments.append(Segment(fed, feed, np.arange(start - 1, end), pages))
            expected.append(dense.logits(tokens, (start, end))[start - 1 :])
        assert torch.allclose(dream(pack(segments, CPU), pool), torch.cat(expected), atol=2e-4)


# -- what the engine answers --------------------------------------------------------------------


def test_answers_are_those_of_a_loop_over_the_dense_definition(
    dream: Transformer, folder: Path
) -> None:
    dense, mask = DenseDream(folder), dream.spec.mask_id
    decoding = DecodingParams(StrategyName.THRESHOLD, 8, threshold=0.3)
    requests = [Request(str(i), prompt(i), 30, decoding=decoding, ignore_eos=True) for i in (1, 3)]
    outcomes = run(engine_of(dream), requests)
    for request in requests:
        tokens, steps = list(request.prompt), 0
        whole = len(tokens) + request.max_tokens
        while len(tokens) < whole:
            start, end = len(tokens), min(len(tokens) + 8, whole)
            tokens += [mask] * (end - start)
            while mask in tokens[start:]:
                logits = dense.logits(tokens, (start, end))[start - 1 : end - 1]
                logits[:, mask] = float("-inf")
                sure, best = logits.softmax(-1).max(-1)
                is_open = torch.tensor(tokens[start:]) == mask
                commit = (sure >= 0.3) | (sure == sure[is_open].max())
                for i in (commit & is_open).nonzero()[:, 0].tolist():
                    tokens[start + i] = int(best[i])
                steps += 1
        outcome = outcomes[request.request_id]
        assert outcome.ids == tokens[len(request.prompt) :]
        assert outcome.last.stats is not None
        assert outcome.last.stats.forward_passes == steps
        assert steps < 30  # some steps committed several


@pytest.mark.parametrize("family", ["dream", "llada"])
def test_no_cache_window_or_canvas_changes_an_answer_in_a_batch_of_everything(
    family: str, request: pytest.FixtureRequest
) -> None:
    model: Transformer = request.getfixturevalue(family)
    requests = [*block_rows(), *window_rows()]
    crowded = run(engine_of(model, max_running=20, max_step_tokens=600), requests)
    answers = defaultdict(set)
    for asked in requests:
        name, outcome = asked.request_id, crowded[asked.request_id]
        assert outcome.last.stats is not None
        assert len(outcome.ids) == 33
        answers[name.split()[0]].add((tuple(outcome.ids), outcome.last.stats.forward_passes))
    assert len(answers) == 7
    assert all(len(found) == 1 for found in answers.values())


def test_an_answer_is_the_same_alone_and_in_a_batch(dream: Transformer) -> None:
    requests = [*block_rows()[::4], *window_rows()[1::3]]
    together = run(engine_of(dream, max_running=32), requests)
    for request in requests:
        alone = run(engine_of(dream), [request])[request.request_id]
        assert alone.ids == together[request.request_id].ids


def test_adaptive_parallel_decoding_is_the_papers_loop_under_every_window(
    dream: Transformer,
) -> None:
    verifier = random_verifier(dream.spec.vocab_size, scale=0.6)
    outcomes = run(engine_of(dream, max_running=16), window_rows())
    for request in window_rows():
        expected, steps = decode(dream, verifier, request)
        outcome = outcomes[request.request_id]
        assert outcome.ids == expected
        assert outcome.last.stats is not None
        assert outcome.last.stats.forward_passes == steps


def test_it_verifies_itself_as_a_causal_model(dream: Transformer) -> None:
    engine = DFastLLMEngine(dream, EngineConfig(max_model_len=256), verifier=dream)
    outcomes = run(engine, window_rows())
    for request in window_rows():
        assert outcomes[request.request_id].ids == decode(dream, dream, request)[0]


def test_an_answer_knows_nothing_of_how_long_it_may_become(dream: Transformer) -> None:
    """Its blocks are the same whatever stands right of them: one step a token, no end."""

    def answer(max_tokens: int, kind: CacheKind) -> list[int]:
        decoding = DecodingParams(StrategyName.THRESHOLD, 8, threshold=1.0, cache=kind)
        asked = Request("r", prompt(2), max_tokens, decoding=decoding, ignore_eos=True)
        return run(engine_of(dream), [asked])["r"].ids

    for kind in KINDS:
        assert answer(40, kind)[:16] == answer(24, kind)[:16] == answer(16, kind)


class Reconsiders(Strategy):
    """Commits a whole block, takes its first half back once, commits it again."""

    name = "threshold"
    revokes = True

    def choose(self, view: BlockView) -> Choice:
        revoke = torch.zeros_like(view.masked)
        if view.rows[0].step == 0:
            revoke[:, : view.masked.shape[1] // 2] = True
        return Choice(view.masked, revoke)


def test_a_rule_may_take_back_what_it_committed_in_its_block(dream: Transformer) -> None:
    rules = {**strategies("dream"), "threshold": Reconsiders()}
    answers = set()
    for kind in KINDS:
        engine = DFastLLMEngine(dream, EngineConfig(max_model_len=256), rules=rules)
        decoding = DecodingParams(StrategyName.THRESHOLD, 8, cache=kind)
        asked = Request("r", prompt(2), 32, decoding=decoding, ignore_eos=True)
        answers.add(tuple(run(engine, [asked])["r"].ids))
    assert len(answers) == 1


# -- what it feeds ------------------------------------------------------------------------------


def fed(decoding: DecodingParams, max_tokens: int = 24) -> tuple[list[tuple[int, int]], int]:
    """[start, end) of every forward of a row with 5 tokens of prompt, and its refreshes."""
    engine = make_engine(pseudo_random(), spec=CAUSAL_CONTEXT, verifier=pseudo_random(1))
    model, seen = engine._runner._model, []
    assert isinstance(model, ScriptedModel)

    def watch(batch: ForwardBatch) -> None:
        seen.append((int(batch.positions.min()), int(batch.positions.max()) + 1))
        assert batch.n_tokens == seen[-1][1] - seen[-1][0]

    model.before = watch
    asked = Request("r", (1, 2, 3, 4, 5), max_tokens, decoding=decoding, ignore_eos=True)
    stats = run(engine, [asked])["r"].last.stats
    assert stats is not None
    return seen, stats.refresh_passes


@pytest.mark.parametrize("lookahead", [None, 0, 16])
def test_without_a_cache_everything_up_to_the_blocks_end_is_fed(lookahead: int | None) -> None:
    feeds, refreshes = fed(DecodingParams(StrategyName.FIXED, 8, steps=6, lookahead=lookahead))
    assert feeds == [(0, 13)] * 2 + [(0, 21)] * 2 + [(0, 29)] * 2
    assert refreshes == 6


@pytest.mark.parametrize("kind", [CacheKind.PREFIX, CacheKind.DUAL])
@pytest.mark.parametrize("lookahead", [None, 0, 16])
def test_with_a_cache_a_block_is_fed_after_the_one_before_it_and_then_alone(
    kind: CacheKind, lookahead: int | None
) -> None:
    """Alone means with the position that leads into it, whose output predicts its first."""
    decoding = DecodingParams(StrategyName.FIXED, 8, steps=9, cache=kind, lookahead=lookahead)
    feeds, refreshes = fed(decoding)
    assert feeds == [
        *[(0, 13), (4, 13), (4, 13)],
        *[(5, 21), (12, 21), (12, 21)],
        *[(13, 29), (20, 29), (20, 29)],
    ]
    assert refreshes == 1


@pytest.mark.parametrize("window", WINDOWS)
def test_a_draft_is_fed_after_the_last_commit_and_the_window_before_it(window: int | None) -> None:
    # A verifier of no weight accepts every draft: four tokens, then four, then the last two.
    feeds, refreshes = fed(replace(APD, r=1.0, lookahead=4, window=window), 10)
    starts = {None: [0, 0, 0], 0: [0, 5, 9], 7: [0, 0, 2], 500: [0, 0, 0]}[window]
    assert feeds == list(zip(starts, [9, 13, 15], strict=True))
    assert refreshes == starts.count(0)


def test_the_canvas_that_is_shown_is_as_long_as_for_every_model() -> None:
    engine = make_engine(pseudo_random(), spec=CAUSAL_CONTEXT)
    decoding = DecodingParams(StrategyName.FIXED, 8, steps=3, lookahead=4)
    engine.add([Request("r", (1, 2), 24, decoding=decoding, ignore_eos=True, stream_canvas=True)])
    canvases = [delta.canvas for _ in range(3) for delta in engine.step()]
    assert [len(canvas or ()) for canvas in canvases] == [20, 24, 24]
    assert [(canvas or ()).count(SPEC.mask_id) for canvas in canvases] == [12, 8, 0]


@pytest.mark.parametrize("strategy", [StrategyName.THRESHOLD, StrategyName.APD])
def test_a_suffix_is_refused_by_name(strategy: StrategyName) -> None:
    engine = make_engine(pseudo_random(), spec=CAUSAL_CONTEXT, verifier=pseudo_random(1))
    decoding = DecodingParams(strategy)
    with pytest.raises(InvalidRequest, match=r"suffix.*nothing right") as caught:
        engine.add([Request("r", (1, 2), 4, suffix=(3,), decoding=decoding)])
    assert caught.value.param == "suffix"
    assert engine.load == (0, 0)
