"""Changes of services go out step by step, or come back, on a real control plane."""

from collections.abc import Iterator

import pytest

from canary_stories import STORIES
from cluster.rig import Rig
from support.telling import Telling, chosen, telling


@pytest.fixture(scope="module")
def told(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Telling]:
    with telling(rig, chosen(request, STORIES)) as told:
        yield told


@pytest.mark.parametrize("name", STORIES)
def test_story(told: Telling, name: str) -> None:
    told.ends[name].result()
