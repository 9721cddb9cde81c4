"""A row that breaks, breaks alone; queues, deadlines and cancellation free what they hold."""

from typing import ClassVar

import pytest
import torch

from dfastllm.cache.policy import CachePolicy
from dfastllm.core import CacheKind, DecodingParams, Request, SamplingParams, StrategyName
from dfastllm.decoding.registry import strategies
from dfastllm.decoding.strategy import BlockView, Choice, Strategy
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.engine.observer import Deaf
from dfastllm.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    PromptTooLong,
    RowFailed,
)
from support.fake_model import SPEC, VOCAB, ScriptedModel, make_engine, pseudo_random, says
from support.reference import drain, run

ONE = DecodingParams(StrategyName.FIXED, 8)


def request(name: str, prompt: int = 3, max_tokens: int = 16, **options) -> Request:
    options.setdefault("decoding", ONE)
    return Request(name, tuple(range(1, prompt + 1)), max_tokens, **options)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_fail_their_row_only(poison: float) -> None:
    usual = pseudo_random()

    def script(position: int) -> torch.Tensor:
        return torch.full((VOCAB,), poison) if position > 40 else usual(position)

    outcomes = run(make_engine(script), [request("good"), request("bad", prompt=60)])
    assert isinstance(outcomes["bad"].last.error, RowFailed)
    assert "not finite" in str(outcomes["bad"].last.error)
    assert outcomes["good"].last.error is None


def test_memory_that_suffices_for_fewer_rows_is_enough() -> None:
    def before(batch) -> None:
        if sum(g.n_rows for g in batch.groups) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model = ScriptedModel(pseudo_random(), before=before)
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=256))
    outcomes = run(engine, [request(str(i), prompt=3 + i) for i in range(7)])
    assert all(o.last.error is None for o in outcomes.values())


def test_a_row_that_does_not_fit_into_memory_fails_alone_with_a_clear_error() -> None:
    def before(batch) -> None:
        if batch.n_tokens > 100 or any(g.end - g.start > 90 for g in batch.groups):
            raise torch.OutOfMemoryError("CUDA out of memory")

    model = ScriptedModel(pseudo_random(), before=before)
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=256))
    outcomes = run(engine, [request("small"), request("huge", prompt=120), request("other")])
    assert "device memory" in str(outcomes["huge"].last.error)
    assert outcomes["small"].last.error is None
    assert outcomes["other"].last.error is None


def test_memory_that_is_short_while_choosing_fails_or_splits_but_never_ends_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import dfastllm.engine.draw as drawing

    usual = drawing.candidates

    def hungry(logits: torch.Tensor, *args, **options):
        if logits.shape[0] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(logits, *args, **options)

    requests = [request(str(i), prompt=3 + i, max_tokens=8) for i in range(6)]
    requests.append(request("huge", max_tokens=40, decoding=DecodingParams(block_length=40)))
    biased = SamplingParams(logit_bias=((5, 3.0),))
    requests.append(request("biased", max_tokens=8, sampling=biased))
    alone = run(make_engine(pseudo_random()), [requests[-1]])["biased"]
    monkeypatch.setattr(drawing, "candidates", hungry)
    outcomes = run(make_engine(pseudo_random()), requests)
    assert "device memory" in str(outcomes.pop("huge").last.error)
    assert all(o.last.error is None for o in outcomes.values())
    assert outcomes["biased"].ids == alone.ids  # a bias is added once, however often it is tried


class Broken(Strategy):
    """Fails on rows with a threshold of one half."""

    name: ClassVar[str] = "threshold"

    def choose(self, view: BlockView) -> Choice:
        if any(row.params.threshold == 0.5 for row in view.rows):
            raise ValueError("a bug")
        return Choice(view.masked)


class Idle(Strategy):
    name: ClassVar[str] = "threshold"

    def choose(self, view: BlockView) -> Choice:
        return Choice(torch.zeros_like(view.masked))


def engine_with(rule: Strategy) -> DFastLLMEngine:
    rules = {**strategies("linear"), "threshold": rule}
    model = ScriptedModel(pseudo_random())
    return DFastLLMEngine(model, EngineConfig(max_model_len=256), rules=rules)


def test_a_bug_in_a_rule_fails_its_row_only() -> None:
    def ask(threshold: float) -> DecodingParams:
        return DecodingParams(StrategyName.THRESHOLD, threshold=threshold)

    requests = [request(str(t), decoding=ask(t)) for t in (0.4, 0.5, 0.6)]
    outcomes = run(engine_with(Broken()), [*requests, request("fixed")])
    assert isinstance(outcomes["0.5"].last.error, RowFailed)
    assert all(outcomes[i].last.error is None for i in ("0.4", "0.6", "fixed"))


def test_a_rule_that_commits_nothing_fails_instead_of_running_for_ever() -> None:
    decoding = DecodingParams(StrategyName.THRESHOLD)
    outcome = run(engine_with(Idle()), [request("r", decoding=decoding)])["r"]
    assert isinstance(outcome.last.error, RowFailed)


class Reconsiders(Strategy):
    """Commits a whole block, takes its first half back once, commits it again."""

    name: ClassVar[str] = "threshold"
    revokes: ClassVar[bool] = True

    def choose(self, view: BlockView) -> Choice:
        revoke = torch.zeros_like(view.masked)
        if view.rows[0].step == 0:
            revoke[:, : view.masked.shape[1] // 2] = True
        return Choice(view.masked, revoke)


def test_text_of_a_rule_that_revokes_waits_for_the_end_of_the_block() -> None:
    engine = engine_with(Reconsiders())
    decoding = DecodingParams(StrategyName.THRESHOLD, 8)
    engine.add([request("r", decoding=decoding, ignore_eos=True)])
    shown = [sum(len(d.tokens) for d in engine.step()) for _ in range(4)]
    assert shown == [0, 8, 0, 8]


def test_a_cancelled_row_is_gone_before_the_next_step() -> None:
    engine = make_engine(pseudo_random(), max_running=1, kv_cache_tokens=64)
    decoding = DecodingParams(StrategyName.FIXED, 8, cache=CacheKind.DUAL)
    engine.add([request("a", max_tokens=30, decoding=decoding, ignore_eos=True)])
    engine.add([request("b", max_tokens=30, decoding=decoding, ignore_eos=True)])
    engine.step()
    assert engine.load == (1, 1)
    (delta,) = engine.cancel("a")
    assert isinstance(delta.error, Cancelled)
    assert engine.load == (0, 1)
    assert {d.request_id for d in engine.step()} == {"b"}
    assert engine.cancel("a") == []


class Loads(Deaf):
    last: tuple[int, int] | None = None
    pages: int | None = None

    def set_load(self, running: int, waiting: int) -> None:
        self.last = (running, waiting)

    def set_kv(self, used: int, total: int) -> None:
        self.pages = used


@pytest.mark.parametrize("leave", ["cancel", "finish"])
def test_the_load_is_told_when_the_last_row_leaves_between_steps(leave: str) -> None:
    loads = Loads()
    model = ScriptedModel(pseudo_random())
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=256), observer=loads)
    cached = DecodingParams(StrategyName.FIXED, 8, cache=CacheKind.DUAL)
    engine.add([request("a", decoding=cached, ignore_eos=True)])
    assert loads.last == (0, 1)
    engine.step()
    assert loads.last == (1, 0)
    assert loads.pages == 1
    getattr(engine, leave)("a")
    assert loads.last == (0, 0)
    assert loads.pages == 0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_deadlines_end_rows_that_run_and_rows_that_wait() -> None:
    clock = Clock()
    engine = DFastLLMEngine(
        ScriptedModel(pseudo_random()),
        EngineConfig(max_model_len=256, max_running=1),
        clock=clock,
    )
    engine.add([request("runs", deadline_s=5.0, ignore_eos=True)])
    engine.add([request("waits", deadline_s=3.0), request("patient", max_tokens=1)])
    engine.step()
    clock.now = 4.0
    assert [(d.request_id, type(d.error)) for d in engine.step() if d.done] == [
        ("waits", DeadlineExceeded)
    ]
    clock.now = 5.1
    ended = {d.request_id: d for d in engine.step() if d.done}
    assert isinstance(ended["runs"].error, DeadlineExceeded)
    assert ended["runs"].stats.compute_s == pytest.approx(5.1)
    assert ended["patient"].error is None
    assert not engine.has_work


def test_the_queue_is_bounded_by_requests_and_refuses_a_batch_whole() -> None:
    engine = make_engine(pseudo_random(), max_running=2, max_queued=3)
    engine.add([request(str(i)) for i in range(4)])
    with pytest.raises(Overloaded):
        engine.add([request("x"), request("y")])
    engine.add([request("fits")])
    with pytest.raises(Overloaded):
        engine.add([request("z")])
    outcomes = drain(engine, ["0", "1", "2", "3", "fits"])
    assert all(o.last.error is None for o in outcomes.values())
    engine.add([request(f"again{i}") for i in range(5)])  # all the room came back


def test_one_caller_may_not_take_the_whole_queue_when_its_share_is_bounded() -> None:
    engine = make_engine(pseudo_random(), max_running=2, max_queued=8, max_per_key=3)
    engine.add([request(f"a{i}", key="a") for i in range(3)])
    with pytest.raises(Overloaded) as caught:
        engine.add([request("a3", key="a")])
    assert caught.value.scope == "key"
    engine.add([request("b0", key="b")])
    drain(engine, ["a0", "a1", "a2", "b0"])
    engine.add([request("a4", key="a")])


def test_more_answers_than_the_server_ever_takes_is_a_mistake_not_an_overload() -> None:
    engine = make_engine(pseudo_random(), max_running=1, max_queued=2)
    with pytest.raises(InvalidRequest) as caught:
        engine.add([request(str(i)) for i in range(4)])
    assert caught.value.param == "n"


def test_the_queue_is_bounded_by_tokens_but_never_refuses_a_lone_request() -> None:
    engine = make_engine(pseudo_random(), max_running=1, max_queued_tokens=50)
    engine.add([request("big", prompt=100)])
    with pytest.raises(Overloaded, match="tokens"):
        engine.add([request("more")])
    engine.step()  # it runs now, nothing waits
    engine.add([request("more")])


def test_what_can_never_run_is_refused_at_once() -> None:
    engine = make_engine(pseudo_random(), max_model_len=100, kv_cache_tokens=64)
    with pytest.raises(PromptTooLong, match="101"):
        engine.add([request("long", prompt=85)])
    cached = DecodingParams(StrategyName.FIXED, 8, cache=CacheKind.DUAL)
    with pytest.raises(InvalidRequest, match="K/V"):
        engine.add([request("cached", prompt=70, decoding=cached)])
    with pytest.raises(InvalidRequest):
        engine.add([Request("empty", (), 4)])
    engine.add([request("fits", prompt=84)])


def test_priority_then_the_caller_with_fewest_rows_then_arrival() -> None:
    engine = make_engine(says([], 3), max_running=2)
    engine.add([request("a1", key="a"), request("a2", key="a"), request("a3", key="a")])
    engine.add([request("b1", key="b"), request("low", key="c", priority=1)])
    engine.add([request("urgent", key="a", priority=-1)])
    order = []
    while engine.has_work:
        order.append(sorted(d.request_id for d in engine.step() if d.done))
    assert order == [["b1", "urgent"], ["a1", "a2"], ["a3", "low"]]


def test_every_running_row_is_served_in_turn_when_a_step_is_short() -> None:
    engine = make_engine(pseudo_random(), max_running=4, max_step_tokens=40)
    engine.add([request(str(i), ignore_eos=True) for i in range(4)])
    served: list[str] = []
    for _ in range(6):
        served += [d.request_id for d in engine.step()]
    assert max(served.count(str(i)) for i in range(4)) == min(
        served.count(str(i)) for i in range(4)
    )


def test_rows_wait_for_pages_and_get_them_back() -> None:
    engine = make_engine(pseudo_random(), max_running=4, kv_cache_tokens=64)
    cached = DecodingParams(StrategyName.FIXED, 8, cache=CacheKind.PREFIX)
    engine.add([request(str(i), prompt=20, decoding=cached) for i in range(4)])
    engine.step()
    assert engine.load == (1, 3)
    outcomes = drain(engine, [str(i) for i in range(4)])
    assert all(o.last.error is None for o in outcomes.values())
    assert engine._runner.pool.used_pages == 0


def test_the_default_policy_knows_the_models_shift() -> None:
    assert SPEC.shift_logits is False
    feed = CachePolicy(lead=1).plan(CacheKind.DUAL, (10, 20), 40, fresh=True)
    assert (feed.start, feed.end, feed.kv_len) == (9, 20, 40)
