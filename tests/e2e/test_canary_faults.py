"""The node of a candidate is lost: what was asked of it until that is known is lost, and no more.

Stable is on the other node, and so is the operator.
"""

import time
from collections.abc import Iterator

import pytest

from cluster.standing import Cluster
from e2e.installation import Installation
from e2e.report import Story
from e2e.rollouts import at, canary
from e2e.services import Json, Services
from e2e.site import Site
from e2e.trial import taken_back, trying, wall
from support.services import condition

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SILENT_S = 20.0  # and a client gives up
LOST_S = 180.0  # from the loss of a node until it is known, and what was on it given up
NODE_LOST = "reports no more"
ROUTED_S = 5.0  # gateways act some time after they report
HALF = ({"weight": 50, "pause": "forever"}, {"weight": 100})


@pytest.fixture
def apart(own: Cluster, installation: Installation) -> Iterator[tuple[str, str]]:
    """The node of stable and the operator, and the one that is going to be lost."""
    if len(own.nodes) < 2:
        pytest.skip("needs two nodes: `python -m cluster up --nodes 2`")
    (operator,) = installation.pods()
    stays = operator["spec"]["nodeName"]
    lost = next(node for node in own.nodes if node != stays)
    try:
        yield stays, lost
    finally:
        own.start(lost)


def on(node: str) -> Json:
    return {"nodeSelector": {"kubernetes.io/hostname": node}}


def says_so(services: Services) -> bool:
    return NODE_LOST in condition(services.get("split"), "Progressing").get("message", "")


def test_the_loss_of_a_candidates_node_ends_its_rollout(
    services: Services, the_site: Site, own: Cluster, apart: tuple[str, str], story: Story
) -> None:
    stays, lost = apart
    rollout = canary(*HALF)
    with trying(
        services, the_site, "split", rollout, node=stays, silent_s=SILENT_S, **on(stays)
    ) as (clients, course):
        services.edit("split", **on(lost))
        course.wait("Paused", cause="StepPause")
        died = wall(time.monotonic())
        own.stop(lost)
        services.until(lambda: says_so(services), "the message names the node", "split", LOST_S)
        course.wait("RollingBack", LOST_S)
        clients.wait_for(16)
        own.start(lost)
        taken_back(services, "split", course, "LostReadiness")
        clients.wait_for(8)
    clients.told(story)
    tally = next(one["tally"] for one in course.states if one.get("tally", {}).get("losses"))
    known = at(tally, "lostAt")
    asked = clients.outside.tally.asked
    late = [
        one
        for one in asked
        if one.is_lost and (wall(one.began_s) - known).total_seconds() > ROUTED_S
    ]
    story.measured(known_s=(known - died).total_seconds(), lost_after=len(late), **course.seconds())
    assert not late, late
    assert clients.outside.tally.lost, "the candidate had traffic"
    assert not clients.inside.tally.lost, clients.inside.tally
