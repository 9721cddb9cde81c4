"""Changes that go out as canaries, while clients stream: promoted or taken back, and nobody loses
a request, neither by the gateway nor by the address inside the cluster.

The metrics are read from the pods. A story in which a node dies is in `test_canary_faults.py`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.standing import Cluster
from e2e import containers, volumes
from e2e.installation import Installation
from e2e.report import Story
from e2e.rollouts import INTERVAL_S, NO_SLOWER, at, canary, ctl, watching
from e2e.services import Json, Services
from e2e.site import Site
from e2e.trial import THRESHOLD, promoted, taken_back, trying, wall
from support.services import condition

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
AS_GOOD = {"strategy": "factor", "factor": 1.0}
ONE_BY_ONE = {"strategy": "fixed"}
AS_BEFORE = {**THRESHOLD, "factor": None}
HELD = ({"weight": 30, "pause": "forever"}, {"weight": 100})
SAID_S = 30.0
DEADLINE_S = 40.0
BACK_S = 2 * INTERVAL_S + 5


@pytest.fixture(scope="module")
def claim(services: Services, the_site: Site) -> Iterator[str]:
    if the_site.standing is None:
        pytest.skip("writes a volume's files on the nodes: only on a cluster of the tests' own")
    with volumes.claim(services, the_site.standing) as name:
        yield name


def test_a_good_change_is_promoted_step_by_step(
    services: Services, the_site: Site, story: Story, tmp_path: Path
) -> None:
    with (
        trying(services, the_site, "good", canary()) as (clients, course),
        watching(services, "good", tmp_path) as watch,
    ):
        services.edit("good", decoding=AS_GOOD)
        promoted(services, "good", course)
        clients.wait_for(8)
        watch.wait("Stable")
    clients.lost_nothing(story)
    story.measured(**course.seconds())
    assert course.routes == [
        {"a": 100},
        {"a": 90, "b": 10},
        {"a": 50, "b": 50},
        {"a": 0, "b": 100},
        {"b": 100},
    ]
    for readers in (clients.outside, clients.inside):
        assert readers.tally.asked[-1].rule == AS_GOOD["strategy"]
    told = "\n".join(watch.lines)
    for word in ("Preparing", "weight=10 ", "weight=50 ", "tokensPerForward", "Promoting"):
        assert word in told


def test_a_change_that_takes_more_forwards_is_rolled_back(
    services: Services, the_site: Site, story: Story, tmp_path: Path
) -> None:
    rollout = canary(analysis={"metrics": NO_SLOWER})
    with (
        trying(services, the_site, "slow", rollout) as (clients, course),
        watching(services, "slow", tmp_path) as watch,
    ):
        services.edit("slow", decoding=ONE_BY_ONE)
        back = course.wait("RollingBack")
        taken_back(services, "slow", course, "MetricsFailed")
        clients.wait_for(8)
        watch.wait("Failed")
    clients.lost_nothing(story)
    assert "tokensPerForward" in back["message"]
    assert back["message"] in "\n".join(watch.lines)
    assert course.most_weight == 10
    failing, began = at(back["tally"], "measuredAt"), at(course.wait("Analyzing"), "confirmedAt")
    by_candidate = clients.outside.tally.by_rule(ONE_BY_ONE["strategy"])
    assert by_candidate, "the candidate had traffic"
    last_s = (max(wall(one.began_s) for one in by_candidate) - failing).total_seconds()
    story.measured(
        detected_s=(failing - began).total_seconds(),
        last_by_candidate_s=last_s,
        by_candidate=len(by_candidate),
        **course.seconds(),
    )
    assert last_s <= BACK_S
    assert not clients.inside.tally.by_rule(ONE_BY_ONE["strategy"])


def test_a_path_without_a_model_gets_no_traffic_and_is_given_up(
    services: Services, the_site: Site, claim: str, story: Story
) -> None:
    nothing = {"uri": f"pvc://{claim}/nothing", "size": volumes.SIZES["llada"]}
    rollout = canary(progressDeadline=f"{DEADLINE_S:.0f}s")
    with trying(services, the_site, "empty", rollout) as (clients, course):
        services.edit("empty", model=nothing)
        began = at(course.wait("Preparing"), "since")
        services.until(lambda: _told(services.get("empty")), "what is wrong", "empty", SAID_S)
        said = datetime.now(UTC)
        assert condition(services.get("empty"), "Ready")["status"] == "True"
        back = course.wait("RollingBack")
        taken_back(services, "empty", course, "ProgressDeadline")
        clients.wait_for(8)
    clients.lost_nothing(story)
    given_up_s = (at(back, "since") - began).total_seconds()
    story.measured(said_s=(said - began).total_seconds(), given_up_s=given_up_s)
    assert DEADLINE_S <= given_up_s <= DEADLINE_S + BACK_S
    assert course.routes == [{"a": 100}]


def _told(body: Json) -> bool:
    said = condition(body, "Progressing")["message"]
    return "ended with exit code 1: CheckpointError:" in said


def test_a_change_is_promoted_by_hand_while_the_operator_comes_back(
    services: Services, the_site: Site, own: Cluster, installation: Installation, story: Story
) -> None:
    with trying(services, the_site, "by-hand", canary(*HELD)) as (clients, course):
        services.edit("by-hand", decoding=AS_GOOD)
        candidate = course.wait("Analyzing", confirmed=30)["candidate"]["revision"]
        (operator,) = installation.pods()
        containers.kill(operator)
        assert candidate in ctl(services, "promote", "by-hand")
        promoted(services, "by-hand", course)
        clients.wait_for(8)
    clients.lost_nothing(story)
    story.measured(**course.seconds())
    (again,) = installation.pods()
    assert containers.restarts(again) == containers.restarts(operator) + 1
    assert course.wait("Promoting")["cause"] == "Promoted"
    assert clients.outside.tally.asked[-1].rule == AS_GOOD["strategy"]


def test_a_change_is_aborted_by_hand(services: Services, the_site: Site, story: Story) -> None:
    with trying(services, the_site, "aborted", canary(*HELD)) as (clients, course):
        services.edit("aborted", decoding=AS_GOOD)
        candidate = course.wait("Paused", cause="StepPause")["candidate"]["revision"]
        assert candidate in ctl(services, "abort", "aborted")
        assert taken_back(services, "aborted", course, "Aborted")["failed"] == candidate
        assert candidate in ctl(services, "history", "aborted")
        services.edit("aborted", decoding=AS_BEFORE)
        services.ready("aborted")
        clients.wait_for(8)
    clients.lost_nothing(story)
    story.measured(**course.seconds())
    assert clients.outside.tally.asked[-1].rule == THRESHOLD["strategy"]


def test_another_model_with_another_name_answers_to_the_old_one_too(
    services: Services, the_site: Site, claim: str, story: Story
) -> None:
    gates = [{"name": "errorRate", "max": 0}, {"name": "restarts", "max": 0}]
    rollout = canary({"weight": 50}, {"weight": 100}, analysis={"metrics": gates})
    size = volumes.SIZES["llada"]
    other = {"uri": f"pvc://{claim}/llada", "format": "llada", "size": size, "name": "other"}
    with trying(services, the_site, "renamed", rollout) as (clients, course):
        services.edit("renamed", model=other)
        promoted(services, "renamed", course)
        clients.wait_for(8)
        with services.endpoint("renamed").openai() as client:
            assert {model.id for model in client.models.list()} == {"renamed", "other"}
    clients.lost_nothing(story, can_count=False)
    story.measured(**course.seconds())
