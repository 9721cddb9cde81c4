"""Every way a measurement can come out, on counters of the server's own instruments."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfastllm_operator.analysis import (
    Check,
    Gate,
    MetricName,
    Plan,
    Report,
    Sample,
    Side,
    Window,
    judge,
    measurement,
    opening,
)
from dfastllm_operator.analysis.record import entries
from dfastllm_operator.analysis.series import Flaw, Unusable
from dfastllm_operator.analysis.window import Look
from dfastllm_operator.gates.measurement import Outcome
from support.counted import CountedServer, sample

PLAN = Plan(min_samples=10, request_timeout_s=60)
ERRORS = (Gate(MetricName.ERROR_RATE, max=0.1),)
RESTARTS = Gate(MetricName.RESTARTS, max=2)
ONLY_RESTARTS = replace(PLAN, gates=(RESTARTS,))
TOKENS = (Gate(MetricName.TOKENS_PER_FORWARD, max_regression=30),)


class Trial:
    """Two servers that are looked at each ten seconds."""

    def __init__(self) -> None:
        self.stable, self.candidate = CountedServer(), CountedServer()
        self.window = opening(0, 0)
        self.at = 0.0
        self.look()

    def look(self) -> Window:
        self.at += 10
        self.window = self.window.after(sample(self.at, self.stable, self.candidate))
        return self.window

    def look_at(self, stable: Look, candidate: Look) -> Window:
        self.at += 10
        looks = {Side.STABLE: stable, Side.CANDIDATE: candidate}
        self.window = self.window.after(Sample(self.at, looks))
        return self.window

    def judge(
        self,
        *gates: Gate,
        plan: Plan = PLAN,
        restarts: int = 0,
        weight: int = 10,
        trouble: str = "",
    ) -> Report:
        chosen = replace(plan, gates=gates or plan.gates)
        return judge(chosen, self.window, weight=weight, restarts=restarts, trouble=trouble)


def only(report: Report) -> Check:
    (check,) = report.checks
    return check


def broken(flaw: Flaw = Flaw.NO_DATA) -> Look:
    return Look({}, {"candidate-0": Unusable(flaw, "connection refused")})


def test_a_candidate_as_good_as_stable_passes_the_defaults() -> None:
    trial = Trial()
    trial.stable.answer(40)
    trial.candidate.answer(12)
    trial.look()
    report = trial.judge()
    assert report.outcome is Outcome.PASS
    assert report.failed == ()
    assert (report.began_at, report.at) == (10, 20)
    assert "tokensPerForward 4.00 is as stable's (allowed: 30 %)" in report.message


def test_fewer_tokens_per_forward_fail_and_are_named() -> None:
    trial = Trial()
    trial.stable.answer(40)
    trial.candidate.answer(10, tokens=10, forwards=10)
    trial.look()
    report = trial.judge()
    assert report.outcome is Outcome.FAIL
    assert report.failed == ("tokensPerForward",)
    assert report.message == ("tokensPerForward 1.00 is 75.0 % below stable's 4.00 (allowed: 30 %)")


def test_tokens_per_forward_are_a_ratio_of_sums() -> None:
    trial = Trial()
    trial.stable.answer(10)
    trial.candidate.answer(9, tokens=10, forwards=10)
    trial.candidate.answer(1, tokens=1000, forwards=10)
    trial.look()
    assert only(trial.judge(*TOKENS)).candidate == pytest.approx(1090 / 100)


@pytest.mark.parametrize("outcome", ["server_error", "unavailable", "model_not_found"])
def test_failures_of_the_server_are_errors(outcome: str) -> None:
    trial = Trial()
    trial.candidate.answer(8)
    trial.candidate.fail(2, outcome)
    trial.look()
    check = only(trial.judge(*ERRORS))
    assert check.outcome is Outcome.FAIL
    assert (check.candidate, check.samples) == (0.2, 10)
    assert check.message == "errorRate 20 % (max: 10 %)"


@pytest.mark.parametrize(
    "outcome",
    ["client_error", "unauthorized", "too_large", "rate_limited", "deadline", "cancelled"],
)
def test_mistakes_of_clients_are_neither_errors_nor_samples(outcome: str) -> None:
    trial = Trial()
    trial.candidate.answer(10)
    trial.candidate.fail(50, outcome)
    trial.look()
    check = only(trial.judge(*ERRORS))
    assert check.outcome is Outcome.PASS
    assert (check.candidate, check.samples) == (0.0, 10)


def test_errors_that_no_further_request_can_make_good_fail_at_once() -> None:
    trial = Trial()
    trial.candidate.fail(1)
    trial.look()
    assert only(trial.judge(*ERRORS)).outcome is Outcome.WAITING  # 1 of 10 may still be 10 %
    trial.candidate.fail(1)
    trial.look()
    check = only(trial.judge(*ERRORS))
    assert (check.outcome, check.samples) == (Outcome.FAIL, 2)


def test_one_error_is_too_many_against_a_stable_without_any() -> None:
    trial = Trial()
    trial.stable.answer(20)
    trial.candidate.answer(19)
    trial.candidate.fail(1)
    trial.look()
    gate = Gate(MetricName.ERROR_RATE, max_regression=50)
    assert only(trial.judge(gate)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("candidate_s", "outcome"), [(0.3, Outcome.PASS), (1.2, Outcome.FAIL), (500, Outcome.FAIL)]
)
@pytest.mark.parametrize("metric", [MetricName.LATENCY, MetricName.TIME_TO_FIRST_BLOCK])
def test_times_are_compared_by_their_95th_percentile(
    metric: MetricName, candidate_s: float, outcome: Outcome
) -> None:
    trial = Trial()
    trial.stable.answer(20, seconds=0.3)
    trial.candidate.answer(20, seconds=candidate_s)
    trial.look()
    assert only(trial.judge(Gate(metric, max_regression=50))).outcome is outcome
    assert only(trial.judge(Gate(metric, max=0.5))).outcome is outcome


def test_times_that_no_bucket_holds_on_either_side_cannot_be_compared() -> None:
    trial = Trial()
    trial.stable.answer(20, seconds=500)
    trial.candidate.answer(20, seconds=500)
    trial.look()
    check = only(trial.judge(Gate(MetricName.LATENCY, max_regression=50)))
    assert check.outcome is Outcome.INCONCLUSIVE


def test_queue_time_and_busy_seconds_are_measured() -> None:
    trial = Trial()
    trial.stable.answer(20)
    trial.candidate.answer(20, seconds=0.8)
    trial.look()
    assert only(trial.judge(Gate(MetricName.QUEUE_TIME, max=0.01))).outcome is Outcome.PASS
    busy = only(trial.judge(Gate(MetricName.TOKENS_PER_BUSY_SECOND, max_regression=50)))
    assert (busy.candidate, busy.stable) == (pytest.approx(50), pytest.approx(200))
    assert busy.outcome is Outcome.FAIL


def test_tokens_per_second_are_shown_and_nothing_is_judged_by_them() -> None:
    trial = Trial()
    assert trial.judge().shown == (), "there was no time for any"
    trial.stable.answer(40)
    trial.candidate.answer(10, tokens=4, forwards=1)
    trial.look()
    report = trial.judge(*TOKENS)
    assert report.outcome is Outcome.PASS, "it follows the weight"
    assert entries(report)[1:] == [
        {
            "metric": "tokensPerSecond",
            "outcome": "Shown",
            "candidate": "4.00",
            "stable": "160",
        }
    ]
    found = measurement(report, datetime(2026, 1, 1, tzinfo=UTC), 20)
    assert found.outcome is Outcome.PASS
    assert [(c.metric, c.candidate) for c in found.checks][-1] == ("tokensPerSecond", 4)
    assert trial.judge(trouble="Prometheus is away").shown == ()
    trial.look_at(Look({}), broken())
    assert trial.judge().shown == (), "nobody told"


def test_a_minimum_looks_at_the_candidate_alone() -> None:
    trial = Trial()
    trial.candidate.answer(10)
    trial.look()
    assert only(trial.judge(Gate(MetricName.TOKENS_PER_FORWARD, min=3))).outcome is Outcome.PASS
    assert only(trial.judge(Gate(MetricName.TOKENS_PER_FORWARD, min=5))).outcome is Outcome.FAIL


def test_both_sides_need_their_samples_for_a_comparison() -> None:
    trial = Trial()
    trial.stable.answer(9)
    trial.candidate.answer(50, tokens=1)
    trial.look()
    check = only(trial.judge(*TOKENS))
    assert (check.outcome, check.reason) == (Outcome.WAITING, "FewSamples")
    assert check.message == "tokensPerForward: 9 on stable of the 10 requests it takes"


def test_without_traffic_nothing_passes() -> None:
    trial = Trial()
    trial.stable.answer(40)
    trial.look()
    trial.stable.answer(40)
    trial.look()
    for gates in (ERRORS, TOKENS):
        check = only(trial.judge(*gates))
        assert (check.outcome, check.reason) == (Outcome.INCONCLUSIVE, "NoTraffic")
        assert "none came to candidate" in check.message


def test_traffic_that_dries_up_is_inconclusive_and_slow_traffic_is_waited_for() -> None:
    trial = Trial()
    outcomes = []
    for count in (1, 0, 1, 1, 0):
        trial.candidate.answer(count)
        trial.look()
        outcomes.append(str(only(trial.judge(*ERRORS)).outcome))
    assert outcomes == ["Waiting", "Inconclusive", "Waiting", "Waiting", "Inconclusive"]


def test_a_long_answer_under_way_is_waited_for() -> None:
    trial = Trial()
    trial.candidate.running(1)
    trial.look()
    assert only(trial.judge(*ERRORS)).outcome is Outcome.WAITING


@pytest.mark.parametrize("flaw", list(Flaw))
def test_unusable_data_are_inconclusive_whatever_was_before(flaw: Flaw) -> None:
    trial = Trial()
    trial.stable.answer(40)
    trial.candidate.answer(40)
    trial.look()
    trial.look_at(Look({"stable-0": trial.stable.reading()}), broken(flaw))
    for gates in (ERRORS, TOKENS):
        check = only(trial.judge(*gates))
        assert (check.outcome, check.reason) == (Outcome.INCONCLUSIVE, flaw)
        assert "no metrics of candidate: pod candidate-0: connection refused" in check.message


def test_a_stable_that_tells_nothing_makes_comparisons_inconclusive_and_no_others() -> None:
    trial = Trial()
    trial.stable.answer(40)
    trial.candidate.answer(40)
    trial.look_at(
        Look({}, {"stable-0": Unusable(Flaw.NO_DATA, "no")}),
        Look({"candidate-0": trial.candidate.reading()}),
    )
    assert only(trial.judge(*ERRORS)).outcome is Outcome.PASS
    assert only(trial.judge(*TOKENS)).outcome is Outcome.INCONCLUSIVE


def test_a_part_of_the_pods_can_fail_but_not_pass() -> None:
    trial = Trial()
    trial.candidate.answer(20)
    half = Look({"candidate-0": trial.candidate.reading()}, {"b": Unusable(Flaw.STALE, "old")})
    trial.look_at(Look(), half)
    check = only(trial.judge(*ERRORS))
    assert (check.outcome, check.reason) == (Outcome.INCONCLUSIVE, "SilentPods")
    trial.candidate.fail(20)
    half = Look({"candidate-0": trial.candidate.reading()}, {"b": Unusable(Flaw.STALE, "old")})
    trial.look_at(Look(), half)
    assert only(trial.judge(*ERRORS)).outcome is Outcome.FAIL


def test_no_pods_at_all_are_no_data() -> None:
    trial = Trial()
    trial.look_at(Look(), Look())
    check = only(trial.judge(*ERRORS))
    assert (check.outcome, check.reason) == (Outcome.INCONCLUSIVE, Flaw.NO_DATA)
    assert "no pod of candidate was there" in check.message


def test_a_server_that_does_not_export_the_metric_is_inconclusive() -> None:
    trial = Trial()
    old = trial.candidate.reading()
    counts = {s: v for s, v in old.counts.items() if "forwards_per_request" not in s.name}
    trial.window = opening(0, 0)
    bare = Look({"candidate-0": replace(old, counts=counts)})
    trial.look_at(Look({"stable-0": trial.stable.reading()}), bare)
    check = only(trial.judge(*TOKENS))
    assert check.outcome is Outcome.INCONCLUSIVE
    assert "does not export dfastllm_forwards_per_request" in check.message


def test_a_source_that_cannot_be_asked_is_an_error() -> None:
    report = Trial().judge(*ERRORS, trouble="http://prometheus: connection refused")
    assert report.outcome is Outcome.ERROR
    assert report.message == "http://prometheus: connection refused"


def test_during_the_warm_up_everything_waits() -> None:
    report = judge(PLAN, opening(0, 30), weight=10)
    assert report.outcome is Outcome.WAITING
    assert report.at is None


@pytest.mark.parametrize("trouble", ["", "prometheus is away"])
def test_restarts_fail_without_any_metrics(trouble: str) -> None:
    report = judge(PLAN, opening(0, 30), weight=100, restarts=1, trouble=trouble)
    assert (report.outcome, report.failed) == (Outcome.FAIL, ("restarts",))
    assert report.message == "the candidate restarted once"


def test_restarts_within_their_maximum_pass() -> None:
    trial = Trial()
    trial.candidate.answer(10)
    trial.look()
    report = trial.judge(RESTARTS, restarts=2)
    assert report.outcome is Outcome.PASS
    assert "10 requests on candidate" in report.message


def test_a_step_that_asks_for_nothing_else_asks_for_requests() -> None:
    trial = Trial()
    trial.stable.answer(40)
    trial.candidate.running(1)
    trial.look()
    report = trial.judge(RESTARTS)
    assert [(c.name, str(c.outcome)) for c in report.checks] == [
        ("restarts", "Pass"),
        ("samples", "Waiting"),
    ]
    assert report.message == "samples: 0 on candidate of the 10 requests it takes"
    trial.candidate.running(0)
    trial.look()
    assert trial.judge(RESTARTS).outcome is Outcome.INCONCLUSIVE, "none came"
    assert trial.judge(RESTARTS, weight=100).outcome is Outcome.PASS, "others are not to be had"
    assert trial.judge(RESTARTS, restarts=3).failed == ("restarts",)
    trial.candidate.answer(9)
    trial.look()
    assert trial.judge(RESTARTS).outcome is Outcome.WAITING
    trial.candidate.answer(1)
    trial.look()
    assert trial.judge(RESTARTS).outcome is Outcome.PASS
    assert entries(trial.judge(RESTARTS))[1] == {
        "metric": "samples",
        "outcome": "Pass",
        "bound": "min 10",
        "candidate": "10",
        "samples": 10,
    }


def test_a_step_that_asks_for_restarts_alone_needs_its_source() -> None:
    assert judge(ONLY_RESTARTS, opening(0, 30), weight=10).outcome is Outcome.WAITING
    trial = Trial()
    assert trial.judge(RESTARTS, trouble="prometheus is away").outcome is Outcome.ERROR
    trial.candidate.answer(20)
    trial.look()
    trial.look_at(Look(), broken(Flaw.STALE))
    assert trial.judge(RESTARTS).outcome is Outcome.INCONCLUSIVE
    assert trial.judge(*ERRORS, RESTARTS).checks[-1].name == "restarts", "errors ask already"


def test_a_candidate_that_hangs_fails_where_restarts_alone_are_asked_for() -> None:
    trial = Trial()
    trial.candidate.running(1)
    for _ in range(7):
        trial.look()
    assert trial.judge(RESTARTS).failed == ("progress",)


def test_requests_that_never_finish_are_a_hang() -> None:
    trial = Trial()
    trial.candidate.running(3)
    outcomes = []
    for _ in range(7):
        trial.look()
        outcomes.append(trial.judge(*ERRORS).outcome)
    assert outcomes[:5] == [Outcome.WAITING] * 5
    assert outcomes[5:] == [Outcome.FAIL] * 2
    report = trial.judge(*ERRORS)
    assert report.failed == ("progress",)
    assert "3 requests running and has finished none for 70 s" in report.message


def test_clients_that_give_up_do_not_hide_a_hang() -> None:
    trial = Trial()
    trial.candidate.running(3)
    for _ in range(7):
        trial.candidate.fail(1, "cancelled")
        trial.candidate.fail(1, "deadline")
        trial.look()
    assert trial.judge(*ERRORS).failed == ("progress",)


def test_a_busy_candidate_that_answers_does_not_hang() -> None:
    trial = Trial()
    trial.candidate.running(3)
    for _ in range(20):
        trial.candidate.answer(1)
        trial.look()
    assert trial.judge(*ERRORS).outcome is Outcome.PASS


def test_missing_data_are_no_hang() -> None:
    trial = Trial()
    trial.candidate.running(3)
    trial.look()
    for _ in range(20):
        trial.look_at(Look(), broken())
    assert trial.judge(*ERRORS).outcome is Outcome.INCONCLUSIVE


def test_at_weight_100_nothing_is_compared_with_stable() -> None:
    trial = Trial()
    trial.candidate.answer(10, tokens=1)
    trial.look()
    report = trial.judge(weight=100)
    assert [(c.name, c.outcome) for c in report.checks] == [
        ("errorRate", Outcome.PASS),
        ("restarts", Outcome.PASS),
    ]
    assert report.outcome is Outcome.PASS
    trial.candidate.fail(10)
    trial.look()
    assert trial.judge(weight=100).failed == ("errorRate",)


def test_at_weight_100_without_data_nothing_passes_either() -> None:
    trial = Trial()
    trial.look_at(Look(), broken())
    assert trial.judge(weight=100).outcome is Outcome.INCONCLUSIVE


def test_the_gravest_outcome_is_that_of_the_report() -> None:
    def outcome(*outcomes: Outcome) -> Outcome:
        return Report(tuple(Check("x", one, "") for one in outcomes)).outcome

    assert outcome() is Outcome.PASS
    assert outcome(Outcome.PASS, Outcome.WAITING) is Outcome.WAITING
    assert outcome(Outcome.INCONCLUSIVE, Outcome.WAITING) is Outcome.INCONCLUSIVE
    assert outcome(Outcome.INCONCLUSIVE, Outcome.ERROR) is Outcome.ERROR
    assert outcome(Outcome.FAIL, Outcome.ERROR) is Outcome.FAIL


def test_the_state_machine_gets_outcomes_and_sentences_and_the_time_of_asking() -> None:
    window = datetime(2026, 1, 1, tzinfo=UTC)
    report = Trial().judge(*ERRORS, trouble="away")
    found = measurement(report, window, now=60.0)
    assert found.at == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert (found.window, found.outcome) == (window, Outcome.ERROR)
    assert [(c.metric, c.text) for c in found.checks] == [("errorRate", "away")]
    assert list(found.entries) == entries(report)


def test_a_report_is_recorded_in_words() -> None:
    trial = Trial()
    trial.stable.answer(40)
    trial.candidate.answer(10, tokens=10)
    trial.look()
    assert entries(trial.judge()) == [
        {
            "metric": "errorRate",
            "outcome": "Pass",
            "bound": "max 1 %",
            "candidate": "0 %",
            "samples": 10,
        },
        {"metric": "restarts", "outcome": "Pass", "bound": "max 0", "candidate": "0"},
        {
            "metric": "tokensPerForward",
            "outcome": "Fail",
            "bound": "maxRegression 30 %",
            "candidate": "1.00",
            "stable": "4.00",
            "samples": 10,
            "reason": "OutOfBounds",
            "message": "tokensPerForward 1.00 is 75.0 % below stable's 4.00 (allowed: 30 %)",
        },
        {
            "metric": "tokensPerSecond",
            "outcome": "Shown",
            "candidate": "10.00",
            "stable": "160",
        },
    ]


Counted = st.tuples(
    st.integers(0, 30), st.integers(0, 5), st.integers(0, 5), st.sampled_from(["both", "one", "no"])
)


@settings(max_examples=40, deadline=None)
@given(st.lists(Counted, min_size=1, max_size=6), st.integers(0, 100))
def test_a_pass_has_data_of_all_pods_and_enough_samples(
    looks: list[tuple[int, int, int, str]], weight: int
) -> None:
    trial = Trial()
    good = bad = base = 0
    for answers, errors, stable, told in looks:
        trial.candidate.answer(answers)
        trial.candidate.fail(errors)
        trial.stable.answer(stable)
        good, bad, base = good + answers, bad + errors, base + stable
        if told == "both":
            trial.look()
        else:
            side = Look({"stable-0": trial.stable.reading()})
            trial.look_at(side if told == "one" else broken(), broken())
    report = trial.judge(*ERRORS, *TOKENS, weight=weight)
    if report.outcome is Outcome.PASS:
        assert looks[-1][3] == "both"
        assert good + bad >= PLAN.min_samples
        assert bad / (good + bad) <= 0.1
        assert weight == 100 or min(good, base) >= PLAN.min_samples
    if bad == 0:
        assert report.outcome is not Outcome.FAIL
