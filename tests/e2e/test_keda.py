"""KEDA scales by what a real Prometheus counts: load makes one pod two, idleness makes them one.

Part of `make e2e-full` only: KEDA takes about 12 minutes to compile, once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cluster.standing import Cluster
from e2e import keda, prometheus
from e2e.clients import asking
from e2e.prometheus import Prometheus
from e2e.report import Story
from e2e.services import ON_CPU, ONE_THREAD, Services

pytestmark = [pytest.mark.e2e_full, pytest.mark.timeout(1200)]
CROWD = 16  # readers, of whom a pod serves two at a time
WAITING = 3  # per pod, above which there shall be more
SCALE_S = 240.0  # a pod starts in it too
METRIC = "dfastllm_requests_waiting"


@contextmanager
def scaled(services: Services, scraped: Prometheus) -> Iterator[None]:
    """One that is gone, with what KEDA made for it, when the block is left."""
    services.put(
        "tiny",
        replicas={"min": 1, "max": 2},
        engine={**ONE_THREAD, "maxRunningRequests": 2},
        resources=ON_CPU,
        autoscaling={
            "type": "keda",
            "metric": "waiting",
            "target": WAITING,
            "scaleDownStabilization": "10s",
            "keda": {"serverAddress": scraped.url, "pollingInterval": "2s"},
        },
    )
    try:
        yield
    finally:
        services.delete("tiny")
        services.until(lambda: not services.objects("scaledobjects"), "KEDA let go", "tiny", 60)


def until_pods(services: Services, scraped: Prometheus, count: int) -> float:
    """Seconds until so many serve, and none is on its way out."""
    began = time.monotonic()

    def so() -> bool:
        scraped.discover()
        pods: list[dict[str, Any]] = services.objects("pods")
        status = services.get("tiny")["status"]
        return bool(len(pods) == count == status.get("readyReplicas"))

    services.until(so, f"{count} pods", "tiny", SCALE_S)
    return time.monotonic() - began


def test_load_makes_one_pod_two_and_idleness_one_and_no_request_is_lost(
    own: Cluster, services: Services, story: Story
) -> None:
    with (
        keda.running(own),
        prometheus.scraping(services) as scraped,
        scaled(services, scraped),
    ):
        services.ready("tiny")
        endpoint = services.endpoint("tiny")
        until_pods(services, scraped, 1)
        scraped.wait(f"count({METRIC})", at_least=1)
        with asking(endpoint, "tiny", count=1, seed=1) as reader:
            with asking(endpoint, "tiny", count=CROWD, seed=2) as crowd:
                story.measured(two_pods_s=until_pods(services, scraped, 2))
                crowd.wait_for(CROWD)
            story.measured(one_pod_s=until_pods(services, scraped, 1))
            reader.wait_for(4)
        services.ready("tiny")
        story.saw(crowd.tally)
        story.saw(reader.tally)
        assert not crowd.tally.lost, crowd.tally
        assert not reader.tally.lost, reader.tally
