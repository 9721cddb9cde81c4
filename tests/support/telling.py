"""Stories of rollouts told side by side, on one stage with one operator and one Prometheus."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from canary_stories.book import Story
from cluster.rig import Rig
from dfastllm_operator.kinds import Kind
from support.exporter import exporting
from support.history import History, remembering
from support.kubeapi import Json
from support.operators import Stage, staged
from support.prometheus import scraping
from support.scene import RECORDED, Scene

AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Telling:
    """The ends by name: the end state of the service, None if it was deleted."""

    stage: Stage
    history: History
    ends: Mapping[str, Future[Json | None]]


@contextmanager
def telling(rig: Rig, stories: Mapping[str, Story], also: Sequence[Kind] = ()) -> Iterator[Telling]:
    """All of them, as many at once as the machine bears; those not begun at the end are not.

    What happens to the kinds in `also` is recorded, too.
    """
    with (
        staged(rig) as stage,
        exporting() as exporter,
        remembering(rig, stage.namespace, (*RECORDED, *also)) as history,
        scraping(exporter, history, stage.namespace, rig.port()) as prometheus,
    ):

        def told(name: str, story: Story) -> Json | None:
            scene = Scene(stage, history, exporter, prometheus.url, name)
            story(scene)
            if not stage.services.has(name):
                return None
            end = stage.services.end_state(name)
            stage.services.delete(name)
            return end

        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="story")
        try:
            ends = {name: pool.submit(told, name, story) for name, story in stories.items()}
            yield Telling(stage, history, ends)
        finally:
            pool.shutdown(cancel_futures=True)


def chosen(request: pytest.FixtureRequest, stories: Mapping[str, Story]) -> dict[str, Story]:
    """Those that tests of the asking module are to be run for."""
    module = request.node.nodeid
    mine = [item for item in request.session.items if item.nodeid.startswith(module)]
    asked = {item.callspec.params.get("name") for item in mine if hasattr(item, "callspec")}
    return {name: story for name, story in stories.items() if name in asked}
