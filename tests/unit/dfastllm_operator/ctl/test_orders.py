import re

import pytest

from dfastllm_operator.ctl.giving import nonce
from dfastllm_operator.ctl.orders import Order, Refused, Verb, order
from dfastllm_operator.ctl.view import view
from support.rollouts import Json, failed, service, under_way


def ordered(verb: Verb, cr: Json) -> Order:
    return order(verb, view(cr), "n1")


@pytest.mark.parametrize("phase", ["Stepping", "Analyzing", "Paused"])
def test_promote_names_the_candidate_and_carries_a_nonce(phase: str) -> None:
    found = ordered(Verb.PROMOTE, service(under_way(phase)))
    assert found.annotation == "dfastllm.io/rollout-promote"
    assert found.value == "bbbb222222/n1"
    assert found.said == "team/chat: candidate bbbb222222 is to get all traffic now"


@pytest.mark.parametrize("phase", ["Preparing", "Stepping", "Analyzing", "Paused", "Promoting"])
def test_abort_is_possible_as_long_as_stable_is_there(phase: str) -> None:
    found = ordered(Verb.ABORT, service(under_way(phase)))
    assert found.annotation == "dfastllm.io/rollout-abort"
    assert found.value == "bbbb222222/n1"
    assert "aaaa111111 gets all traffic back" in found.said


def test_retry_names_the_revision_that_failed() -> None:
    found = ordered(Verb.RETRY, service(failed()))
    assert found.annotation == "dfastllm.io/rollout-retry"
    assert found.value == "bbbb222222/n1"


@pytest.mark.parametrize(
    ("verb", "rollout", "said"),
    [
        (Verb.PROMOTE, None, r"has no rollout \(strategy Canary\)"),
        (Verb.ABORT, None, "has no rollout"),
        (Verb.RETRY, None, "has no rollout"),
        (Verb.PROMOTE, under_way("Preparing"), "bbbb222222 of team/chat is not ready yet"),
        (Verb.PROMOTE, under_way("Promoting"), "is being promoted already"),
        (Verb.PROMOTE, under_way("Finalizing"), "has been promoted; to go back, revert"),
        (Verb.ABORT, under_way("Finalizing"), "has been promoted; to go back, revert"),
        (Verb.PROMOTE, under_way("RollingBack"), "is being taken away already"),
        (Verb.ABORT, under_way("Superseded"), "is being taken away already"),
        (Verb.PROMOTE, failed(), "has failed and is over; `retry` tries it again"),
        (Verb.ABORT, failed(), "has failed and is over"),
        (
            Verb.ABORT,
            under_way("Stable", candidate=None),
            r"\(Stable\): nothing to abort",
        ),
        (Verb.RETRY, under_way(), r"has no failed rollout \(it is Analyzing\)"),
        (Verb.RETRY, failed(failed=""), "does not say which revision failed"),
        (Verb.PROMOTE, under_way(candidate=None), "nothing to promote"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    verb: Verb, rollout: Json | None, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        ordered(verb, service(rollout))


@pytest.mark.parametrize("verb", list(Verb))
def test_a_paused_service_takes_no_orders(verb: Verb) -> None:
    with pytest.raises(Refused, match=r"spec\.paused set"):
        ordered(verb, service(under_way(), paused=True))


def test_a_service_that_goes_takes_no_orders() -> None:
    cr = service(under_way())
    cr["metadata"]["deletionTimestamp"] = "2026-11-28T20:00:00Z"
    with pytest.raises(Refused, match="is being deleted"):
        ordered(Verb.ABORT, cr)


def test_no_two_orders_have_one_nonce() -> None:
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", nonce())
    assert len({nonce() for _ in range(50)}) == 50
