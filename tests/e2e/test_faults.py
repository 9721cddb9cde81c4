"""What dies comes back, and how long that takes is told, with what clients saw.

A stream that was in a process which is killed is lost, here as anywhere. All else has a promise.
"""

import time
from collections.abc import Callable

import pytest

from cluster.kubectl import KubectlFailed
from cluster.standing import Cluster
from e2e import containers
from e2e.clients import Readers, asking
from e2e.installation import OPERATOR, Installation
from e2e.report import Story
from e2e.services import SMALL, Json, Services
from support.packaging import NAMESPACE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
NODE_LOST_S = 300.0  # until a node that says nothing is given up, and its pods run elsewhere
OPERATOR_BACK_S = 120.0
ROUTED_S = 5.0  # gateways act some time after they report


@pytest.fixture
def tiny(services: Services) -> Services:
    services.put("tiny", **SMALL)
    services.ready("tiny")
    services.endpoint("tiny")
    return services


def one_pod(services: Services) -> Json:
    (pod,) = services.pods("tiny")
    return pod


def through(
    services: Services, story: Story, fault: Callable[[Readers], None], *, after: int = 8
) -> Readers:
    """Readers before, during and after a fault; `after` answers must come when it is over.

    From then on none is lost. None is ever wrong.
    """
    with asking(services.endpoint("tiny"), "tiny") as readers:
        readers.wait_for(8)
        fault(readers)
        time.sleep(ROUTED_S)
        over = time.monotonic()
        readers.wait_for(after)
    story.saw(readers.tally)
    story.measured(nothing_finished_s=readers.tally.longest_gap_s)
    late = [one for one in readers.tally.asked if one.is_lost and one.began_s > over]
    assert not late, readers.tally
    assert not readers.tally.wrong, readers.tally
    return readers


def test_a_killed_server_process_is_started_again(
    tiny: Services, own: Cluster, story: Story
) -> None:
    pod = one_pod(tiny)

    def kill(_: Readers) -> None:
        containers.kill(pod)
        tiny.until(lambda: restarted([pod], tiny.pods("tiny")), "it is restarted", "tiny")
        tiny.ready("tiny")

    readers = through(tiny, story, kill)
    assert readers.tally.lost >= 1  # it did have streams
    assert one_pod(tiny)["metadata"]["uid"] == pod["metadata"]["uid"]


def test_a_deleted_pod_ends_its_streams_before_it_goes(tiny: Services, story: Story) -> None:
    old = one_pod(tiny)["metadata"]["name"]

    def delete(_: Readers) -> None:
        tiny.run("delete", "pod", old, timeout_s=120)
        tiny.until(lambda: old not in tiny.pod_names("tiny"), "another pod", "tiny")
        tiny.ready("tiny")

    readers = through(tiny, story, delete)
    assert not readers.tally.unfinished, readers.tally


def test_a_killed_operator_is_missed_by_nobody(
    tiny: Services, own: Cluster, installation: Installation, story: Story
) -> None:
    def kill(_: Readers) -> None:
        before = operators(tiny)
        containers.kill(before[0])
        tiny.until(
            lambda: restarted(before, operators(tiny)), "it is restarted", "tiny", OPERATOR_BACK_S
        )
        installation.wait()
        works_again(tiny)

    readers = through(tiny, story, kill)
    assert not readers.tally.lost, readers.tally


def test_an_api_server_that_is_away_for_a_while_is_missed_by_nobody(
    tiny: Services, own: Cluster, story: Story
) -> None:
    def restart(readers: Readers) -> None:
        own.stop("kube-apiserver")
        readers.wait_for(8)
        own.start("kube-apiserver")
        tiny.until(lambda: answers(tiny), "the API server answers", "tiny")
        works_again(tiny)

    readers = through(tiny, story, restart)
    assert not readers.tally.lost, readers.tally


def test_a_lost_node_is_made_up_for_on_the_other(
    tiny: Services, own: Cluster, installation: Installation, story: Story
) -> None:
    if len(own.nodes) < 2:
        pytest.skip("needs two nodes: `python -m cluster up --nodes 2`")
    spread = {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    tiny.edit("tiny", replicas={"min": 2}, topologySpreadConstraints=[{"maxSkew": 1, **spread}])
    tiny.ready("tiny")
    assert placed(tiny) == set(own.nodes)
    lost = own.nodes[-1]

    def lose(_: Readers) -> None:
        own.stop(lost)  # the operator's too, if it runs there: its word is old until it is back
        tiny.until(lambda: placed(tiny) == {own.nodes[0]}, "both elsewhere", "tiny", NODE_LOST_S)
        installation.wait()
        tiny.ready("tiny", within_s=NODE_LOST_S)

    try:
        through(tiny, story, lose)
    finally:
        own.start(lost)
    tiny.ready("tiny")


def placed(services: Services) -> set[str]:
    return {pod["spec"].get("nodeName", "") for pod in services.pods("tiny")}


def operators(services: Services) -> list[Json]:
    label = f"--selector=app.kubernetes.io/name={OPERATOR}"
    return list(services.kubectl.get("pods", "-n", NAMESPACE, label)["items"])


def restarted(before: list[Json], now: list[Json]) -> bool:
    """Whether the same pods are there, and one of them has a container that was begun anew."""
    same = {pod["metadata"]["uid"] for pod in before} == {pod["metadata"]["uid"] for pod in now}
    return same and sum(map(containers.restarts, now)) > sum(map(containers.restarts, before))


def works_again(services: Services) -> None:
    """The operator, and what it works with: a change is carried out."""
    for replicas in (2, 1):
        services.run("scale", "dfs/tiny", f"--replicas={replicas}")
        services.ready("tiny")


def answers(services: Services) -> bool:
    try:
        services.get("tiny")
    except KubectlFailed:
        return False
    return True
