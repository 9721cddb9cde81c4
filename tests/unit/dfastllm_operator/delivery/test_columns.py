from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import RolloutSpec, Step
from dfastllm_operator.canary.state import Assigned, RolloutStatus
from dfastllm_operator.core import Json
from dfastllm_operator.delivery.columns import columns

POLICY = RolloutSpec()
ERRORS: Json = {"metric": "errorRate", "outcome": "Pass", "candidate": "0 %"}
TOKENS: Json = {"metric": "tokensPerForward", "outcome": "Pass", "candidate": "4.00"}


def at_step(step: int, *measurements: Json) -> RolloutStatus:
    return RolloutStatus(
        phase=RolloutPhase.ANALYZING,
        stable=Assigned("old", "a"),
        candidate=Assigned("new", "b"),
        step=step,
        measurements=measurements,
    )


def test_steps_are_counted_from_one_on() -> None:
    assert columns(POLICY, at_step(0)) == {"progress": "1/3"}
    assert columns(POLICY, at_step(2)) == {"progress": "3/3"}


def test_steps_that_were_edited_to_fewer_leave_it_at_the_last() -> None:
    assert columns(RolloutSpec(steps=(Step(50),)), at_step(2)) == {"progress": "1/1"}


def test_without_a_candidate_there_is_no_step() -> None:
    assert columns(POLICY, RolloutStatus(stable=Assigned("old", "a"))) == {}


def test_each_metric_is_shown_once_with_what_did_not_pass() -> None:
    held = {**TOKENS, "bound": "min 1.20"}
    compared = {**TOKENS, "bound": "maxRegression 30 %", "stable": "4.25"}
    passed = columns(POLICY, at_step(0, ERRORS, held, compared))
    assert passed["measured"] == "errorRate 0 %, tokensPerForward 4.00 (stable 4.25)"
    low = {**held, "outcome": "Fail"}
    failed = columns(POLICY, at_step(0, low, compared))
    assert failed["measured"] == "tokensPerForward 4.00: Fail"


def test_what_could_not_be_measured_is_unknown() -> None:
    silent = {"metric": "errorRate", "outcome": "Error"}
    assert columns(POLICY, at_step(0, silent))["measured"] == "errorRate unknown: Error"
    rate = {"metric": "tokensPerSecond", "outcome": "Shown", "candidate": "80.00"}
    assert columns(POLICY, at_step(0, silent, rate))["measured"] == "errorRate unknown: Error"
