"""More and fewer replicas while clients stream: what was accepted is answered.

By hand; `test_keda.py` is about scaling by load.
"""

import pytest

from e2e.clients import Endpoint, asking
from e2e.report import Story
from e2e.services import SMALL, Services

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def scale(services: Services, replicas: int) -> None:
    services.run("scale", "dfs/tiny", f"--replicas={replicas}")
    body = services.ready("tiny")
    assert body["status"]["replicas"] == body["status"]["readyReplicas"] == replicas
    services.until(
        lambda: len(services.objects("pods")) == replicas, f"{replicas} pods in all", "tiny"
    )


def test_kubectl_scale_costs_no_request(services: Services, story: Story) -> None:
    services.put("tiny", **SMALL)
    services.ready("tiny")
    endpoint: Endpoint = services.endpoint("tiny")
    with asking(endpoint, "tiny") as readers:
        readers.wait_for(4)
        scale(services, 2)
        readers.wait_for(12)
        scale(services, 1)
        readers.wait_for(4)
    story.saw(readers.tally)
    assert not readers.tally.lost, readers.tally
    assert not readers.tally.wrong, readers.tally
