from datetime import UTC, datetime

import pytest

from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.record import to_status
from dfastllm_operator.canary.state import Assigned, RolloutStatus, Tally
from dfastllm_operator.ctl.view import SideView, StepView, view
from support.rollouts import BAD, MEASURED, Json, failed, said, service, under_way


def test_a_rollout_is_read_from_the_cr() -> None:
    found = view(service(under_way(measurements=[BAD], tally={"failures": 1, **MEASURED})))
    assert found.title == "team/chat"
    assert found.stable == SideView("aaaa111111", "a", 90)
    assert found.candidate == SideView("bbbb222222", "b", 10)
    assert found.steps == (StepView(10), StepView(50), StepView(100))
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


def test_steps_that_are_left_out_are_the_operators_own() -> None:
    cr = service(under_way())
    cr["spec"]["rollout"] = {"strategy": "Canary"}
    found = view(cr)
    assert [step.weight for step in found.steps] == [10, 50, 100]
    assert found.failure_limit == 2


def test_a_pause_is_shown_as_it_is_written() -> None:
    steps = [{"weight": 10, "pause": "10m"}, {"weight": 50, "pause": "0s"}]
    cr = service(under_way())
    cr["spec"]["rollout"] = {"strategy": "Canary", "steps": steps}
    found = view(cr)
    assert found.steps == (StepView(10, "10m"), StepView(50))


def test_measurements_of_the_step_before_are_no_news_of_this_one() -> None:
    assert view(service(under_way(measurements=[BAD]))).measurements == ()
    assert view(service(under_way("Stepping", measurements=[BAD]))).measurements


@pytest.mark.parametrize(
    "cr",
    [
        said(service({"phase": "Stable"}), ("Progressing", "True", "RollingOut")),
        said(service(None), ("Progressing", "True", "RollingOut")),
        said(service({"phase": "Stable"}), ("RolloutBlocked", "True", "NoRoom")),
    ],
)
def test_what_is_on_its_way_or_held_is_not_at_rest(cr: Json) -> None:
    assert not view(cr).at_rest


def test_a_change_that_nobody_has_looked_at_is_not_at_rest() -> None:
    cr = service({"phase": "Stable"})
    cr["metadata"]["generation"] = 2
    cr["status"]["observedGeneration"] = 1
    assert not view(cr).at_rest
    cr["status"]["observedGeneration"] = 2
    assert view(cr).at_rest


def test_why_a_change_waits_is_told_once() -> None:
    held = view(
        said(
            service({"phase": "Stable"}),
            ("RolloutBlocked", "True", "NoRoom"),
            ("Progressing", "False", "Blocked"),
        )
    )
    assert (held.held, held.trouble) == ("NoRoom: because", "")
    wrong = view(said(service({"phase": "Stable"}), ("Progressing", "False", "Blocked")))
    assert (wrong.held, wrong.trouble) == ("", "Blocked: because")


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
