"""A default is changed while clients stream: pods roll, and nobody is told of it."""

from typing import Any

import pytest

from e2e.clients import asking
from e2e.report import Story
from e2e.services import SMALL, Services

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
HELLO = [{"role": "user", "content": "Hello"}]


def strategy(client: Any) -> str:
    """That of a request which names none."""
    answer = client.chat.completions.create(model="tiny", messages=HELLO)
    return str(answer.model_extra["diffusion"]["strategy"])


def test_a_changed_decoding_default_costs_no_request(services: Services, story: Story) -> None:
    services.put("tiny", decoding={"strategy": "threshold"}, **SMALL)
    services.ready("tiny")
    endpoint, old = services.endpoint("tiny"), services.pod_names("tiny")
    with asking(endpoint, "tiny") as readers, endpoint.openai() as client:
        readers.wait_for(8)
        assert strategy(client) == "threshold"

        services.edit("tiny", decoding={"strategy": "factor", "factor": 1.0})
        services.ready("tiny")
        services.until(
            lambda: not old & {pod["metadata"]["name"] for pod in services.objects("pods")},
            "the old pods are gone",
            "tiny",
        )
        readers.wait_for(8)
        assert strategy(client) == "factor"
    story.saw(readers.tally)
    assert not readers.tally.lost, readers.tally
    assert not readers.tally.wrong, readers.tally
