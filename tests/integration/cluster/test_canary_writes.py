"""SIGKILL after every single write of a rollout: it ends where an undisturbed one does."""

import pytest

from canary_stories.book import Story
from cluster.rig import Rig
from support.callledger import Recorded
from support.endstate import difference
from support.kubeapi import Json
from support.reaper import OncePerService, belongs
from support.scene import P, Scene
from support.telling import telling, theatre

FEWEST_WRITES = 20
"""Of a service that is made and changed; less would mean that the kills do not reach it all."""

MOST_SPARED = 5
"""What a kill makes superfluous is not written: the last ones there may never be a kill for."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def goes_out(scene: Scene) -> None:
    scene.begin(steps=[{"weight": 50}])
    new = scene.change(0.6)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()


def comes_back(scene: Scene) -> None:
    old = scene.begin(steps=[{"weight": 50}], analysis={"failureLimit": 1})
    scene.behave("b", forwards=40)
    bad = scene.change(0.6)
    scene.reach(P.FAILED, failed=bad)
    scene.services.wait("Progressing", "False", "Complete", scene.name)
    assert scene.stable == old


@pytest.mark.parametrize(
    ("path", "story"), [("out", goes_out), ("home", comes_back)], ids=["goes out", "comes back"]
)
def test_killed_after_any_write(rig: Rig, path: str, story: Story) -> None:
    wanted, count = _undisturbed(rig, f"{path}-calm", story)
    assert count > FEWEST_WRITES
    names = {f"{path}-{number}": number for number in range(1, count + 1)}
    with theatre(rig) as here:
        reaper = OncePerService(here.stage, names)
        with telling(here, dict.fromkeys(names, story), reaper.on_write, calm=False):
            for name in names:
                assert not difference(wanted, here.end(name) or {}), name
    missed = [number for name, number in names.items() if name not in reaper.killed]
    assert all(number > count - MOST_SPARED for number in missed), (count, missed)


def _undisturbed(rig: Rig, name: str, story: Story) -> tuple[Json, int]:
    """Its end, and how many writes it took."""
    writes: list[Recorded] = []
    with theatre(rig) as here, telling(here, {name: story}, writes.append, calm=True):
        end = here.end(name)
    assert end is not None
    return end, sum(belongs(entry, name) for entry in writes)
