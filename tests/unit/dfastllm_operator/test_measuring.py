import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dfastllm_operator.analysis import Prometheus, Sample, Side, SourceFailed
from dfastllm_operator.analysis.series import Flaw, Reading, Unusable
from dfastllm_operator.analysis.source import Targets
from dfastllm_operator.analysis.window import Look
from dfastllm_operator.api.rollout import Rollout
from dfastllm_operator.canary.observation import Running
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import RolloutSpec, Strategy
from dfastllm_operator.canary.state import Assigned, Leaving, RolloutStatus, Tally
from dfastllm_operator.core import Seen
from dfastllm_operator.gates.measurement import Measurement, Outcome
from dfastllm_operator.gates.metric import MetricName
from dfastllm_operator.gates.plan import Gate, Plan
from dfastllm_operator.measuring import Measuring, source_of
from support.counted import CountedServer, sample
from support.situations import observed
from support.slots import loading, pod, slot, waiting

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = RolloutSpec(
    strategy=Strategy.CANARY,
    analysis=Plan(interval_s=5, warmup_s=10, min_samples=4),
    progress_deadline_s=60,
)
STATUS = RolloutStatus(
    phase=RolloutPhase.ANALYZING,
    stable=Assigned("old", "a"),
    candidate=Assigned("new", "b"),
    weight=10,
    confirmed=10,
    confirmed_at=NOW,
)
RESTARTS = Gate(MetricName.RESTARTS, max=8)
LOOK = observed({}, [*slot("a", "old"), *slot("b", "new")])


class Counted:
    """Both sides as counting servers; `down` is why they cannot be asked."""

    remembers = False

    def __init__(self) -> None:
        self.stable, self.candidate = CountedServer(), CountedServer()
        self.down = ""
        self.asked: list[Targets] = []

    async def sample(self, targets: Targets, at: float) -> Sample:
        self.asked.append(targets)
        if self.down:
            raise SourceFailed(self.down)
        return sample(at, self.stable, self.candidate)

    def answer(self, count: int) -> None:
        self.stable.answer(count)
        self.candidate.answer(count)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class Lookout:
    def __init__(self) -> None:
        self.source = Counted()
        self.measuring = Measuring(lambda *_: self.source)

    def look(self, seconds: float, **status: Any) -> Measurement | None:
        kept = replace(STATUS, **status)
        return asyncio.run(self.measuring.look(LOOK, POLICY, kept, at(seconds)))


def test_nothing_is_looked_at_before_the_warm_up_is_over_and_then_at_the_pace() -> None:
    out = Lookout()
    assert out.look(9) is None
    assert out.measuring.due(LOOK.service.key, POLICY, STATUS) == at(10)
    first = out.look(10)
    assert first is not None
    assert first.outcome is Outcome.WAITING
    assert out.look(14) is None
    out.source.answer(10)
    then = out.look(15)
    assert then is not None
    assert (then.outcome, then.window) == (Outcome.PASS, NOW)
    assert len(out.source.asked) == 2


def test_a_weight_that_is_not_reported_is_not_judged() -> None:
    out = Lookout()
    assert out.look(20, confirmed=0) is None
    assert out.look(20, phase=RolloutPhase.STEPPING, weight=50) is None
    assert out.look(20, phase=RolloutPhase.STEPPING, weight=0, confirmed=0) is None
    assert not out.source.asked


@pytest.mark.parametrize(
    "phase",
    [
        RolloutPhase.STEPPING,
        RolloutPhase.ANALYZING,
        RolloutPhase.PAUSED,
        RolloutPhase.PROMOTING,
    ],
)
def test_a_candidate_with_weight_is_looked_at_whatever_is_done_to_it(phase: RolloutPhase) -> None:
    out = Lookout()
    assert out.look(20, phase=phase) is not None


def test_a_source_that_fails_is_an_error_and_not_a_pass() -> None:
    out = Lookout()
    out.source.down = "no route to host"
    found = out.look(10)
    assert found is not None
    assert found.outcome is Outcome.ERROR
    assert "no route to host" in found.message


def test_slow_traffic_is_waited_for_until_the_deadline() -> None:
    out = Lookout()
    out.look(10)
    out.source.answer(1)
    early = out.look(60)
    assert early is not None
    assert early.outcome is Outcome.WAITING
    out.source.answer(1)
    late = out.look(70)
    assert late is not None
    assert late.outcome is Outcome.INCONCLUSIVE
    assert "within progressDeadline of 60 s" in late.message


def test_a_window_that_is_lost_shortly_before_the_deadline_has_all_the_time_again() -> None:
    out = Lookout()
    out.look(10)
    out.source.answer(1)
    out.measuring = Measuring(lambda *_: out.source)
    assert out.look(65) is not None
    for seconds, outcome in ((75, Outcome.WAITING), (124, Outcome.WAITING)):
        out.source.answer(1)
        assert (found := out.look(seconds)) is not None
        assert found.outcome is outcome
    out.source.answer(0)
    out.source.candidate.answer(1)
    assert (late := out.look(129)) is not None
    assert late.outcome is Outcome.INCONCLUSIVE


def test_a_source_that_remembers_has_all_that_was_before_a_restart() -> None:
    class Remembering(Counted):
        remembers = True

        async def sample(self, targets: Targets, at: float) -> Sample:
            self.answer(1)
            return await super().sample(targets, at)

    out = Lookout()
    out.source = Remembering()
    assert (found := out.look(75)) is not None
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "within progressDeadline of 60 s" in found.message


def test_restarts_are_counted_on_by_the_operator_that_comes_next() -> None:
    def found(
        measuring: Measuring, seconds: float, count: int, last: Measurement | None
    ) -> tuple[Measurement, str]:
        body = pod("b", "new")
        ended = {"terminated": {"finishedAt": at(12).isoformat()}}
        body.body["status"]["containerStatuses"] = [{"restartCount": count, "lastState": ended}]
        seen = observed({}, [*slot("a", "old"), body])
        policy = replace(POLICY, analysis=replace(POLICY.analysis, gates=(RESTARTS,)))
        tally = Tally(measured_at=last.at if last else None)
        status = replace(STATUS, tally=tally, measurements=last.entries if last else ())
        look = asyncio.run(measuring.look(seen, policy, status, at(seconds)))
        assert look is not None
        return look, next(e["candidate"] for e in look.entries if e["metric"] == "restarts")

    source = Counted()
    one = Measuring(lambda *_: source)
    first, said = found(one, 10, 4, None)
    assert said == "1", "of four, one is known to have come with this weight"
    then, said = found(one, 15, 7, first)
    assert said == "3"
    another = Measuring(lambda *_: source)
    after, said = found(another, 20, 7, then)
    assert said == "3", "none is forgotten, and none is counted twice"
    _, said = found(another, 25, 9, after)
    assert said == "5"
    elsewhere = replace(after, at=at(-5))
    _, said = found(Measuring(lambda *_: source), 30, 9, elsewhere)
    assert said == "1", "what was counted at another weight is not of this step"


def test_a_window_is_kept_while_the_rollout_is_held() -> None:
    out = Lookout()
    out.look(10)
    out.source.answer(3)
    assert (held := out.look(15, phase=RolloutPhase.PAUSED)) is not None
    assert held.outcome is Outcome.WAITING
    out.source.answer(3)
    assert (then := out.look(20)) is not None
    assert then.outcome is Outcome.PASS, "requests of both count"


def test_another_step_is_another_window() -> None:
    out = Lookout()
    out.look(10)
    out.source.answer(10)
    assert out.look(30, confirmed_at=at(18)) is not None
    later = out.look(35, confirmed_at=at(18))
    assert later is not None
    assert later.outcome is not Outcome.PASS, "what came before the window does not count"


def test_a_pod_that_has_ended_is_asked_for_nothing() -> None:
    source = Counted()
    measuring = Measuring(lambda *_: source)
    over = [pod(name, "old", 7, phase="Failed") for name in "ab"]
    look = observed({}, [*slot("a", "old"), *slot("b", "new"), *over])
    asyncio.run(measuring.look(look, POLICY, STATUS, at(10)))
    names = {side: [p.name for p in pods] for side, pods in source.asked[-1].items()}
    assert names == {
        Side.STABLE: ["demo-a-predictor-0"],
        Side.CANDIDATE: ["demo-b-predictor-0"],
    }
    asyncio.run(measuring.running(look, POLICY, LEAVING, at(5)))
    assert [p.name for p in source.asked[-1][Side.CANDIDATE]] == ["demo-b-predictor-0"]
    alone = observed({}, [pod("b", "new", phase="Failed")])
    source.down = "nobody there"
    found = Measuring(lambda *_: source).running(alone, POLICY, LEAVING, at(5))
    assert asyncio.run(found) == Running(), "nothing can run on it"


class Some(Counted):
    """Of the pods that are asked, only the first of each side answers."""

    async def sample(self, targets: Targets, at: float) -> Sample:
        found = await super().sample(targets, at)
        looks = {}
        for side, pods in targets.items():
            problem = Unusable(Flaw.NO_DATA, "connection refused")
            (reading,) = found.looks[side].readings.values()
            looks[side] = Look({pods[0].name: reading}, {p.name: problem for p in pods[1:]})
        return Sample(at, looks)


BOTH = [*slot("a", "old"), *slot("b", "new")]


@pytest.mark.parametrize("young", [loading, waiting])
def test_a_pod_that_was_never_ready_is_not_missed(young: Callable[..., Seen]) -> None:
    source = Some()
    measuring = Measuring(lambda *_: source)
    look = observed({}, [*BOTH, young("a", "old", 1), young("b", "new", 1)])
    asyncio.run(measuring.look(look, POLICY, STATUS, at(10)))
    source.answer(10)
    found = asyncio.run(measuring.look(look, POLICY, STATUS, at(15)))
    assert found is not None
    assert found.outcome is Outcome.PASS
    drains = measuring.running(look, POLICY, LEAVING, at(5))
    assert asyncio.run(drains) == Running(), "no request runs on it"


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_pod_that_was_ready_and_says_nothing_is_missed(side: str) -> None:
    source = Some()
    measuring = Measuring(lambda *_: source)
    revision = {"a": "old", "b": "new"}[side]

    def outcome(seconds: float, *seen: Seen) -> Measurement:
        source.answer(10)
        look = observed({}, [*BOTH, *seen])
        found = asyncio.run(measuring.look(look, POLICY, STATUS, at(seconds)))
        assert found is not None
        return found

    outcome(10, pod(side, revision, 1))
    lost = outcome(15, loading(side, revision, 1))
    assert (lost.outcome, lost.window) == (Outcome.INCONCLUSIVE, NOW)
    assert f"pod demo-{side}-predictor-1: connection refused" in lost.message
    assert outcome(20).outcome is Outcome.PASS, "it is gone"


def test_what_was_ready_before_an_operator_began_is_told_by_the_pod() -> None:
    source = Some()
    was_ready = loading("a", "old", 1)
    was_ready.body["status"]["conditions"][1]["lastTransitionTime"] = "2026-01-01T00:00:01Z"
    look = observed({}, [*BOTH, was_ready])
    asyncio.run(Measuring(lambda *_: source).look(look, POLICY, STATUS, at(10)))
    names = [p.name for p in source.asked[-1][Side.STABLE]]
    assert names == ["demo-a-predictor-0", "demo-a-predictor-1"]


LEAVING = replace(STATUS, candidate=None, leaving=Leaving("new", "b", NOW, 1))


def test_requests_on_a_slot_that_leaves_are_counted_or_unknown() -> None:
    out = Lookout()
    out.source.candidate.running(3)

    def running(seconds: float) -> Running | None:
        return asyncio.run(out.measuring.running(LOOK, POLICY, LEAVING, at(seconds)))

    assert running(4) is None, "gateways may still send it some"
    assert not out.source.asked
    assert running(5) == Running(3)
    assert [pod.name for pod in out.source.asked[-1][Side.CANDIDATE]] == ["demo-b-predictor-0"]
    out.source.down = "gone"
    assert running(6) == Running(3), "not asked again so soon"
    assert running(7) == Running(unanswered=1)


def test_what_was_scraped_before_the_slot_was_left_alone_says_nothing_of_its_drain() -> None:
    class Kept(Counted):
        """Has what was scraped at that moment."""

        scraped_at = NOW

        async def sample(self, targets: Targets, at: float) -> Sample:
            found = await super().sample(targets, at)
            then = self.scraped_at.timestamp()
            looks = {
                side: Look({pod: replace(r, at=then) for pod, r in look.readings.items()})
                for side, look in found.looks.items()
            }
            return Sample(at, looks)

    source = Kept()
    measuring = Measuring(lambda *_: source)

    def running(seconds: float) -> Running | None:
        return asyncio.run(measuring.running(LOOK, POLICY, LEAVING, at(seconds)))

    source.scraped_at = at(4)
    assert running(20) == Running(unanswered=1)
    source.scraped_at = at(6)
    assert running(30) == Running()


def test_what_answered_is_counted_beside_what_did_not() -> None:
    class Part(Counted):
        """Only the first pod of a side answers."""

        async def sample(self, targets: Targets, at: float) -> Sample:
            pods = targets[Side.CANDIDATE]
            problem = Unusable(Flaw.NO_DATA, "no answer in time")
            looks = Look(
                {pods[0].name: Reading({}, running=2)}, {p.name: problem for p in pods[1:]}
            )
            return Sample(at, {Side.CANDIDATE: looks})

    source = Part()
    look = observed({}, [*slot("a", "old"), *slot("b", "new", replicas=3)])
    found = Measuring(lambda *_: source).running(look, POLICY, LEAVING, at(5))
    assert asyncio.run(found) == Running(2, unanswered=2)


@pytest.mark.parametrize(("interval", "stale_s"), [("5m", 300), ("30s", 90)])
def test_what_was_scraped_since_the_last_look_is_not_stale(interval: str, stale_s: float) -> None:
    analysis = {"source": "prometheus", "serverAddress": "http://p:9090", "interval": interval}
    source = source_of(Rollout.model_validate({"analysis": analysis}), "ns")
    assert isinstance(source, Prometheus)
    assert source.stale_s == stale_s
