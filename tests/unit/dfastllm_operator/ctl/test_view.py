from datetime import UTC, datetime

import pytest

from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.record import to_status
from dfastllm_operator.canary.state import Assigned, RolloutStatus, Tally
from dfastllm_operator.ctl.view import SideView, view
from support.rollouts import BAD, failed, service, under_way


def test_a_rollout_is_read_from_the_cr() -> None:
    found = view(service(under_way(measurements=[BAD], tally={"failures": 1})))
    assert found.title == "team/chat"
    assert found.stable == SideView("aaaa111111", "a", 90)
    assert found.candidate == SideView("bbbb222222", "b", 10)
    assert found.steps == (10, 50, 100)
    assert (found.failures, found.failure_limit) == (1, 2)
    assert found.since == datetime(2026, 11, 28, 20, tzinfo=UTC)
    assert found.measurements[0].candidate == "1.00"
    assert not found.at_rest


@pytest.mark.parametrize(
    "cr",
    [
        {"metadata": {"name": "chat", "namespace": "team"}},
        {"metadata": {"name": "chat", "namespace": "team"}, "spec": {}, "status": {}},
        service(None),
    ],
)
def test_a_service_without_a_rollout_can_be_read(cr: dict[str, object]) -> None:
    found = view(cr)
    assert found.phase == ""
    assert found.at_rest
    assert found.stable is None


def test_fields_and_words_of_another_version_do_no_harm() -> None:
    found = view(service(under_way("Pondering", since="soon", later={"x": 1})))
    assert (found.phase, found.since) == ("Pondering", None)


def test_a_failed_rollout_is_at_rest() -> None:
    found = view(service(failed()))
    assert found.at_rest
    assert (found.failed, found.candidate) == ("bbbb222222", None)


def test_what_the_state_machine_keeps_is_what_is_read() -> None:
    since = datetime(2026, 11, 28, 20, 0, 0, 250_000, tzinfo=UTC)
    kept = RolloutStatus(
        phase=RolloutPhase.PAUSED,
        since=since,
        stable=Assigned("aaaa111111", "a"),
        candidate=Assigned("bbbb222222", "b"),
        step=1,
        weight=50,
        confirmed=10,
        cause=Cause.INCONCLUSIVE,
        message="no traffic",
        failed="cccc333333",
        tally=Tally(failures=1),
    )
    found = view(service(to_status(kept)))
    assert (found.phase, found.since, found.step) == ("Paused", since, 1)
    assert found.stable == SideView("aaaa111111", "a", 50)
    assert found.candidate == SideView("bbbb222222", "b", 50)
    assert (found.weight, found.confirmed, found.failures) == (50, 10, 1)
    assert (found.cause, found.message, found.failed) == (
        "Inconclusive",
        "no traffic",
        "cccc333333",
    )
