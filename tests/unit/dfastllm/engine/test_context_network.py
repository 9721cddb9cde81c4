"""Models whose context another network reads: what is computed, what is held, what goes wrong."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from dfastllm.cache.policy import CachePolicy
from dfastllm.core import CacheKind, DecodingParams, SamplingParams, StrategyName
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.engine.observer import Deaf
from dfastllm.engine.runner import Forwarded, PlannedRow
from dfastllm.engine.service import EngineService
from dfastllm.errors import InvalidRequest, PromptTooLong
from dfastllm.models.batch import ForwardBatch, pack
from dfastllm.tokenizer import Tokenizer
from support.apd_reference import random_verifier
from support.causal_context import DensePair
from support.fake_model import Letters
from support.reference import drain, run
from support.two_networks import (
    APD,
    BLOCK_RULES,
    WEIGHTS,
    Pair,
    apd_rows,
    ask,
    block_rows,
    engine_of,
    prompt,
)

# -- what is computed ---------------------------------------------------------------------------


@pytest.mark.parametrize(("shares", "fill"), [(True, False), (False, False), (True, True)])
def test_every_forward_of_a_mixed_batch_equals_the_dense_definition(
    dream_pair: Pair, dream_folder: Path, shares: bool, fill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of all rules, caches and windows, which join and sit out steps at different times.

    Packed as on a CPU, and as on a GPU, where similar rows are filled up to one shape.
    """
    monkeypatch.setattr("dfastllm.engine.runner.pack", partial(pack, fill=fill))
    verifier = None if shares else random_verifier(512, scale=0.6)
    engine = engine_of(dream_pair, verifier, max_running=5, max_step_tokens=150)
    dense, forward, checked = DensePair(dream_folder), engine._runner.forward, 0

    def watched(rows: list[PlannedRow]) -> Any:
        nonlocal checked
        done, failed = forward(rows)
        for row, logits in by_row(done):
            start, end = row.sequence.block_bounds
            tokens = row.sequence.tokens.tolist()
            wanted = dense.logits(tokens, (start, end))[torch.from_numpy(row.positions - start)]
            assert torch.allclose(logits, wanted, atol=2e-4)
            checked += 1
        return done, failed

    monkeypatch.setattr(engine._runner, "forward", watched)
    requests = [*block_rows()[::2], *apd_rows()[1::2]]
    outcomes = run(engine, requests)
    assert all(outcome.last.error is None for outcome in outcomes.values())
    stats = [outcome.last.stats for outcome in outcomes.values()]
    assert checked == sum(s.forward_passes for s in stats if s is not None) > 100


def by_row(done: list[Forwarded]) -> Iterator[tuple[PlannedRow, Tensor]]:
    for part in done:
        sizes = [len(row.positions) for row in part.rows]
        yield from zip(part.rows, part.logits.split(sizes), strict=True)


@pytest.mark.parametrize("threshold", [None, 0.2])
@pytest.mark.parametrize("block", [1, 5, 16])
def test_answers_are_those_of_a_loop_that_keeps_nothing(
    dream_pair: Pair, dream_folder: Path, block: int, threshold: float | None
) -> None:
    """One token a step, the surest of its block, or all above a threshold."""
    dense, spec = DensePair(dream_folder), dream_pair[0].spec
    tokens, first, steps = [*prompt(3), *[spec.mask_id] * 20], len(prompt(3)), 0
    for start in range(first, len(tokens), block):
        end = min(start + block, len(tokens))
        while spec.mask_id in tokens[start:end]:
            logits = dense.logits(tokens, (start, end))
            logits[:, spec.mask_id] = -torch.inf
            sure, token = logits.softmax(-1).max(-1)
            sure[torch.tensor(tokens[start:end]) != spec.mask_id] = -1
            over = [] if threshold is None else (sure > threshold).nonzero()[:, 0].tolist()
            for at in {*over, int(sure.argmax())}:
                tokens[start + at] = int(token[at])
            steps += 1
    rule = DecodingParams(StrategyName.FIXED, block)
    if threshold is not None:
        rule = DecodingParams(StrategyName.THRESHOLD, block, threshold=threshold)
    for kind in CacheKind:
        request = ask("r", 3, replace(rule, cache=kind), max_tokens=20, sampling=SamplingParams())
        outcome = run(engine_of(dream_pair), [request])["r"]
        assert outcome.ids == tokens[first:]
        assert outcome.last.stats is not None
        assert outcome.last.stats.forward_passes == steps


def test_caches_windows_and_batches_change_nothing(either_pair: Pair) -> None:
    requests = [*block_rows(), *apd_rows()]
    together = run(engine_of(either_pair), requests)
    answers: dict[str, set[tuple[int, ...]]] = {}
    for asked in requests:
        row = asked.request_id.rsplit(" ", 1)[0]
        answers.setdefault(row, set()).add(tuple(together[asked.request_id].ids))
    assert len(answers) == len(BLOCK_RULES) + len(WEIGHTS)
    assert all(len(found) == 1 for found in answers.values())
    for asked in requests[::3]:
        alone = run(engine_of(either_pair), [asked])[asked.request_id]
        assert alone.ids == together[asked.request_id].ids


def test_the_context_is_what_the_other_network_makes_of_it(dream_pair: Pair) -> None:
    model, context = dream_pair
    other = copy.deepcopy(context)
    for parameter in other.parameters():
        parameter.data = parameter.data.flip(0)
    answers = [run(engine_of((model, c)), block_rows()) for c in (context, other)]
    assert any(answers[0][name].ids != answers[1][name].ids for name in answers[0])


# -- what it holds, and what goes wrong ---------------------------------------------------------


class Memory(Deaf):
    """The K/V pages that an engine told of, and the positions that it fed."""

    used = total = fed = context = 0
    verifier: tuple[int, int] | None = None

    def set_kv(self, used: int, total: int) -> None:
        self.used, self.total = used, total

    def set_verifier_kv(self, used: int, total: int) -> None:
        self.verifier = used, total

    def step(
        self, seconds: float, kind: Any, rows: int, fed_tokens: int, *counts: int | None
    ) -> None:
        self.fed += fed_tokens

    def context_read(self, fed_tokens: int) -> None:
        self.context += fed_tokens


def test_both_live_in_one_memory_and_every_row_has_pages(dream_pair: Pair) -> None:
    memory = Memory()
    engine = engine_of(dream_pair, observer=memory, max_running=4, kv_cache_tokens=96)
    assert engine.verifier_page_bytes == 0
    requests = [ask("0", 0, APD, max_tokens=20), ask("1", 1, BLOCK_RULES[0], max_tokens=20)]
    engine.add([*requests, ask("2", 2, APD, max_tokens=20), ask("3", 0, APD, max_tokens=20)])
    engine.step()
    assert (memory.used, memory.total, memory.verifier) == (2, 3, None)
    assert engine.load == (2, 2)  # the third needs two pages
    assert memory.fed == (1 + 20) + (7 + 8)  # the context's positions too
    assert memory.context == 6
    drain(engine, "0123")
    assert memory.used == 0
    with pytest.raises(PromptTooLong, match="need 101 tokens, the K/V cache holds 96"):
        engine.add([ask("long", 1, BLOCK_RULES[0], max_tokens=94)])


def test_another_verifier_has_a_memory_of_its_own(dream_pair: Pair) -> None:
    memory = Memory()
    engine = engine_of(dream_pair, random_verifier(512), observer=memory, kv_cache_tokens=96)
    assert engine.verifier_page_bytes > 0
    engine.add([ask("0", 0, APD, max_tokens=40), ask("1", 1, BLOCK_RULES[0], max_tokens=20)])
    engine.step()
    assert memory.used == 3
    assert memory.verifier == (2, 3)


@contextmanager
def short_of_memory(network: nn.Module, above: int) -> Iterator[None]:
    """For forwards of more than so many positions."""

    def refuse(_: Any, args: tuple[ForwardBatch, Any]) -> None:
        if args[0].n_tokens > above:
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = network.register_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize("rule", [BLOCK_RULES[0], replace(APD, r=0.5, lookahead=4)])
def test_a_row_whose_context_cannot_be_read_fails_alone(
    dream_pair: Pair, rule: DecodingParams
) -> None:
    rows = [ask(str(i), i, rule) for i in (0, 1, 9, 2, 3)]
    whole = run(engine_of(dream_pair), rows)

    with short_of_memory(dream_pair[1], above=50):
        outcomes = run(engine_of(dream_pair), rows)
    assert "device memory" in str(outcomes.pop("9").last.error)
    for name, outcome in outcomes.items():
        assert outcome.ids == whole[name].ids


def test_what_fails_after_the_context_was_read_is_tried_again(dream_pair: Pair) -> None:
    rows = [ask(str(i), i, replace(APD, r=0.9, lookahead=8)) for i in range(4)]
    whole = run(engine_of(dream_pair), rows)

    with short_of_memory(dream_pair[0], above=20):
        outcomes = run(engine_of(dream_pair), rows)
    assert {name: o.ids for name, o in outcomes.items()} == {n: o.ids for n, o in whole.items()}


def test_model_and_context_network_come_together_or_not_at_all(dream_pair: Pair) -> None:
    model, context = dream_pair
    config = EngineConfig(max_model_len=64)
    with pytest.raises(ValueError, match="context network"):
        DFastLLMEngine(model, config)
    alone = copy.deepcopy(model)
    object.__setattr__(alone.spec, "context_model", None)
    with pytest.raises(ValueError, match="context network"):
        DFastLLMEngine(alone, config, context=context)


def test_a_policy_goes_with_the_networks_there_are(dream_pair: Pair) -> None:
    model, context = dream_pair
    config = EngineConfig(max_model_len=64)
    with pytest.raises(ValueError, match="context_apart"):
        DFastLLMEngine(model, config, context=context, policy=CachePolicy(1, causal_context=True))
    alone = copy.deepcopy(model)
    object.__setattr__(alone.spec, "context_model", None)
    with pytest.raises(ValueError, match="context_apart"):
        DFastLLMEngine(alone, config, policy=CachePolicy(1, True, context_apart=True))


@pytest.mark.parametrize(("i", "refreshes"), [(0, 1), (1, 1)])
def test_a_refresh_is_a_forward_that_had_something_to_reuse_or_the_first(
    dream_pair: Pair, i: int, refreshes: int
) -> None:
    """Of a prompt of one token too, which leads into the first block whole."""
    rule = DecodingParams(StrategyName.FIXED, 8, cache=CacheKind.PREFIX)
    outcome = run(engine_of(dream_pair), [ask("r", i, rule, max_tokens=8)])["r"]
    assert outcome.last.stats is not None
    assert outcome.last.stats.refresh_passes == refreshes


@pytest.mark.parametrize("rule", [DecodingParams(StrategyName.THRESHOLD, 32), APD])
def test_a_warm_up_fits_the_smallest_memory(dream_pair: Pair, rule: DecodingParams) -> None:
    for tokens in (32, 64, 95):
        engine = engine_of(dream_pair, kv_cache_tokens=tokens)
        EngineService(engine, cast(Tokenizer, Letters())).warm_up(rule)
        assert not engine.has_work


def test_neither_infilling_nor_an_empty_prompt_is_possible(dream_pair: Pair) -> None:
    engine = engine_of(dream_pair)
    with pytest.raises(InvalidRequest, match="suffix"):
        engine.add([ask("r", 1, APD, suffix=(3,))])
    with pytest.raises(InvalidRequest, match="prompt"):
        engine.add([replace(ask("r", 1, APD), prompt=())])
