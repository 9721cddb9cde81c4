"""One network reads the context and verifies: the paper's answers, and nothing is read twice."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from dfastllm.core import CacheKind, DecodingParams, SamplingParams, StrategyName
from dfastllm.models.batch import ForwardBatch
from support.apd_reference import decode
from support.reference import run
from support.two_networks import APD, WINDOWS, Pair, apd_rows, ask, block_rows, engine_of, prompt


def test_adaptive_parallel_decoding_is_the_papers_loop(dream_pair: Pair) -> None:
    model, context = dream_pair
    outcomes = run(engine_of(dream_pair), apd_rows())
    most = 0
    for request in apd_rows():
        expected, steps = decode(model, context, request, context)
        outcome = outcomes[request.request_id]
        assert outcome.ids == expected
        assert outcome.last.stats is not None
        assert outcome.last.stats.forward_passes == steps
        if request.decoding.r < 1:
            most = max(most, len(expected) - steps)
    assert most > 5  # not everything was refused


def test_a_copy_of_it_with_k_v_of_its_own_gives_the_same(either_pair: Pair) -> None:
    model, context = either_pair
    pair, second = (copy.deepcopy(model), context), copy.deepcopy(context)
    decoding = replace(APD, r=0.9, lookahead=12)
    plain = [ask(f"eos {i}", i, decoding, ignore_eos=False) for i in (1, 2)]
    requests = [*apd_rows()[::2], *plain, *block_rows()[::5]]
    # An end of turn that is among what is written, so that some answers end by themselves.
    ends = run(engine_of(pair), plain)["eos 1"].ids[5]
    object.__setattr__(pair[0].spec, "eos_ids", (*model.spec.eos_ids, ends))
    shared = run(engine_of(pair, max_running=7), requests)
    apart = run(engine_of(pair, second, max_running=7), requests)
    for asked in requests:
        one, other = shared[asked.request_id], apart[asked.request_id]
        assert one.ids == other.ids
        assert one.last.finish_reason == other.last.finish_reason
        assert one.last.stats is not None
        assert other.last.stats is not None
        for count in ("forward_passes", "verifier_passes", "drafted", "accepted"):
            assert getattr(one.last.stats, count) == getattr(other.last.stats, count)
    assert shared["eos 1"].ids[-1] == ends
    assert len(shared["eos 1"].ids) <= 6


@contextmanager
def forwards_of(pair: Pair) -> Iterator[list[tuple[str, int, int]]]:
    """Each forward from now on: what it is for, its first position and its length, of one row."""
    seen: list[tuple[str, int, int]] = []

    def watch(name: str) -> Any:
        def hook(_: Any, args: tuple[ForwardBatch, Any]) -> None:
            batch = args[0]
            purpose = name if len(batch.logit_rows) else "context"
            seen.append((purpose, int(batch.positions[0]), batch.n_tokens))

        return hook

    names = ("denoise", "verify")
    hooks = [m.register_forward_pre_hook(watch(n)) for m, n in zip(pair, names, strict=True)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("r", [0.0, 0.9])
def test_an_iteration_is_one_forward_of_each(
    dream_pair: Pair, r: float, window: int | None
) -> None:
    """However much of a draft is accepted, the verification left the K/V of what was."""
    decoding = replace(APD, r=r, lookahead=8, window=window)
    request = ask("r", 2, decoding, max_tokens=24, sampling=SamplingParams())
    engine, lead = engine_of(dream_pair), len(prompt(2)) - 1
    with forwards_of(dream_pair) as seen:
        engine.add([request])
        engine.step()
        assert seen == [("context", 0, lead), ("denoise", lead, 9), ("verify", lead, 8)]
        accepted = set()
        while engine.has_work:
            before, seen[:] = engine._scheduler.running[0].block_bounds[0], []
            engine.step()
            left = len(prompt(2)) + 24 - before
            lead, drafted = before - 1, min(left, 8)
            wanted = [("denoise", lead, drafted + 1), ("verify", lead, drafted)]
            assert seen == (wanted if drafted > 1 else wanted[:1])
            if engine.has_work:
                accepted.add(engine._scheduler.running[0].block_bounds[0] - before)
    assert accepted == {1} if r == 0 else len(accepted) > 1


def test_without_a_shift_nothing_leads_in_and_a_whole_drafts_last_token_is_read_apart(
    llada_pair: Pair,
) -> None:
    """No verification feeds the last token of a draft; it is context once all of it stands."""
    request = ask("r", 2, replace(APD, r=0.97, lookahead=8), max_tokens=24)
    engine, whole = engine_of(llada_pair), []
    read = len(prompt(2))  # where the next draft begins
    with forwards_of(llada_pair) as seen:
        engine.add([request])
        unread = [("context", 0, read)]
        while engine.has_work:
            seen[:] = []
            engine.step()
            drafted = min(len(prompt(2)) + 24 - read, 8)
            judged = [("verify", read, drafted - 1)] if drafted > 1 else []
            assert seen == [*unread, ("denoise", read, drafted), *judged]
            if engine.has_work:
                accepted = engine._scheduler.running[0].block_bounds[0] - read
                read += accepted
                whole.append(accepted == drafted)
                unread = [("context", read - 1, 1)] if whole[-1] else []
    assert set(whole) == {True, False}


@pytest.mark.parametrize(("r", "lookahead"), [(1.0, 4), (0.5, 1)])
def test_where_nothing_was_verified_the_context_network_reads_what_is_new(
    dream_pair: Pair, r: float, lookahead: int
) -> None:
    request = ask("r", 1, replace(APD, r=r, lookahead=lookahead), max_tokens=3 * lookahead)
    with forwards_of(dream_pair) as seen:
        stats = run(engine_of(dream_pair), [request])["r"].last.stats
    assert stats is not None
    assert (stats.context_passes, stats.verifier_passes) == (3, 0)
    lead = len(prompt(1)) - 1
    assert seen == [
        ("context", 0, lead),
        ("denoise", lead, lookahead + 1),
        ("context", lead, lookahead),
        ("denoise", lead + lookahead, lookahead + 1),
        ("context", lead + lookahead, lookahead),
        ("denoise", lead + 2 * lookahead, lookahead + 1),
    ]


@pytest.mark.parametrize("kind", CacheKind)
def test_without_a_shift_a_block_is_fed_alone(llada_pair: Pair, kind: CacheKind) -> None:
    decoding = DecodingParams(StrategyName.FIXED, 8, steps=2, cache=kind)
    first, second = len(prompt(1)), len(prompt(1)) + 8
    with forwards_of(llada_pair) as seen:
        run(engine_of(llada_pair), [ask("r", 1, decoding, max_tokens=16)])
    unread = ("context", 0, second) if kind is CacheKind.NONE else ("context", first, 8)
    assert seen == [("context", 0, first), ("denoise", first, 8), unread, ("denoise", second, 8)]


@pytest.mark.parametrize("kind", CacheKind)
def test_a_block_is_fed_with_what_leads_in_and_its_context_once_if_kept(
    dream_pair: Pair, kind: CacheKind
) -> None:
    decoding = DecodingParams(StrategyName.FIXED, 8, steps=4, cache=kind)
    request = ask("r", 1, decoding, max_tokens=16)
    with forwards_of(dream_pair) as seen:
        stats = run(engine_of(dream_pair), [request])["r"].last.stats
    lead = len(prompt(1)) - 1
    first, second = ("denoise", lead, 9), ("denoise", lead + 8, 9)
    if kind is CacheKind.NONE:
        again = ("context", 0, lead), ("context", 0, lead + 8)
        assert seen == [again[0], first] * 2 + [again[1], second] * 2
    else:
        assert seen == [("context", 0, lead), first, first, ("context", lead, 8), second, second]
    assert stats is not None
    contexts = sum(purpose == "context" for purpose, _, _ in seen)
    assert (stats.forward_passes, stats.context_passes) == (4, contexts)  # each counted apart
