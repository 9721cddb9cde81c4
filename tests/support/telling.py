"""Stories of rollouts told side by side, on one stage with one operator and one Prometheus."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from canary_stories.book import Story
from cluster.rig import Rig
from dfastllm_operator.kinds import Kind
from e2e.prometheus import program
from support.callledger import Recorded
from support.endstate import measured_apart
from support.exporter import Exporter, exporting
from support.history import History, remembering
from support.kubeapi import Json
from support.operators import Stage, staged
from support.prometheus import scraping
from support.reaper import TALKATIVE, reaping
from support.scene import RECORDED, Scene

AT_ONCE = 12


@dataclass
class Theatre:
    """Where stories are told; the operators are the stage's own affair."""

    stage: Stage
    history: History
    exporter: Exporter
    prometheus: str
    ends: dict[str, Future[Json | None]] = field(default_factory=dict)

    def scene(self, name: str, *, calm: bool = True) -> Scene:
        return Scene(self.stage, self.history, self.exporter, self.prometheus, name, calm)

    def end(self, name: str) -> Json | None:
        """The end state of a story's service, once it is told; None if it was deleted."""
        return self.ends[name].result()


@contextmanager
def theatre(rig: Rig, also: Sequence[Kind] = ()) -> Iterator[Theatre]:
    """What happens to the kinds in `also` is recorded, too."""
    program()  # what would take long is made before the clock of a story runs
    with (
        staged(rig, start=False) as stage,
        exporting() as exporter,
        remembering(rig, stage.namespace, (*RECORDED, *also)) as history,
        scraping(exporter, history, stage.namespace, rig.port(), stage.guard) as prometheus,
    ):
        yield Theatre(stage, history, exporter, prometheus.url)


@contextmanager
def telling(
    theatre: Theatre,
    stories: Mapping[str, Story],
    on_write: Callable[[Recorded], None] = lambda _: None,
    *,
    calm: bool = True,
    straying: Collection[str] = (),
) -> Iterator[None]:
    """All of them, as many at once as the machine bears; those not begun at the end are not.

    `on_write` hears of all writes of the operator, and may kill it: then it is not `calm`. Stories
    in `straying` come to the same end by ways that differ: what tells of the way is not in it.
    """

    def told(name: str, story: Story) -> Json | None:
        scene = theatre.scene(name, calm=calm)
        story(scene)
        services = theatre.stage.services
        if not services.has(name):
            return None
        scene.tells_each_move_once()
        scene.comes_to_rest()
        end = services.end_state(name, history=name not in straying)
        scene.delete()
        return measured_apart(end) if name in straying else end

    theatre.stage.start(**TALKATIVE)
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="story")
    with reaping(theatre.stage, on_write):
        try:
            for name, story in stories.items():
                theatre.ends[name] = pool.submit(told, name, story)
            yield
        finally:
            pool.shutdown(cancel_futures=True)


def chosen(
    request: pytest.FixtureRequest, test: str, stories: Mapping[str, Story]
) -> dict[str, Story]:
    """Those that the asking module's `test` is to be run for."""
    mine = [item for item in request.session.items if item.path == request.path]
    asked = {
        item.callspec.params["name"]
        for item in mine
        if isinstance(item, pytest.Function) and item.originalname == test
    }
    return {name: story for name, story in stories.items() if name in asked}
