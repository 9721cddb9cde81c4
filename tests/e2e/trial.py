"""A service of which changes are tried while readers ask it from both sides of the cluster."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from dfastllm_operator import names
from e2e import containers
from e2e.clients import TIMEOUT_S, Readers, asking, draw_alike
from e2e.relay import inside
from e2e.report import Story
from e2e.rollouts import Course, following
from e2e.services import SMALL, Json, Services
from e2e.site import Site
from support.services import condition

THRESHOLD = {"strategy": "threshold"}
OUTSIDE, INSIDE = 6, 2  # readers


@dataclass(frozen=True, slots=True)
class Everybody:
    """Who asks by the gateway, and who by the address inside."""

    outside: Readers
    inside: Readers

    def wait_for(self, more: int) -> None:
        """So many further answers to those outside, and one to those inside."""
        self.outside.wait_for(more)
        self.inside.wait_for(1)

    def told(self, story: Story) -> None:
        for readers in (self.outside, self.inside):
            story.saw(readers.tally)

    def lost_nothing(self, story: Story, *, can_count: bool = True) -> None:
        """And was told nothing wrong, where all revisions `can_count`."""
        self.told(story)
        for readers in (self.outside, self.inside):
            assert not readers.tally.lost, readers.tally
            assert not (can_count and readers.tally.wrong), readers.tally


@contextmanager
def trying(
    services: Services,
    site: Site,
    name: str,
    rollout: Json,
    *,
    node: str = "",
    silent_s: float = TIMEOUT_S,
    **spec: Any,
) -> Iterator[tuple[Everybody, Course]]:
    """One that serves its first revision, by threshold, and is gone afterwards.

    `silent_s` is what a client bears. The way inside is by a pod on `node`, if that is given.
    """
    services.put(name, decoding=THRESHOLD, rollout=rollout, **SMALL, **spec)
    try:
        services.ready(name)
        services.until(lambda: services.rollout(name).get("phase") == "Stable", "at rest", name)
        outside = replace(services.endpoint(name), timeout_s=silent_s)
        with (
            inside(services, site, name, node) as local,
            asking(outside, name, count=OUTSIDE, draw=draw_alike) as outer,
            asking(local, name, count=INSIDE, seed=1, draw=draw_alike) as inner,
            following(services, name) as course,
        ):
            everybody = Everybody(outer, inner)
            everybody.wait_for(8)
            yield everybody, course
    finally:
        services.delete(name)


def promoted(services: Services, name: str, course: Course) -> None:
    """Waits until the candidate has become stable, with the pods it had, and is alone."""
    new = course.wait("Finalizing")["stable"]
    serving = _pods(services, name, new["revision"])
    course.wait("Stable", stable=new)
    body = services.ready(name)
    assert body["status"]["revision"] == new["revision"]
    assert {pod["metadata"]["uid"] for pod in services.pods(name)} == serving
    assert sum(map(containers.restarts, services.pods(name))) == 0


def taken_back(services: Services, name: str, course: Course, cause: str) -> Json:
    """What the rollout says, once stable is all there is again."""
    failed = course.wait("Failed")
    assert failed["cause"] == cause, failed
    body = services.wait(
        name,
        ("Ready", "True", "Serving"),
        ("Progressing", "False", "Complete"),
        ("Degraded", "True", "RolloutFailed"),
    )
    said = condition(body, "Degraded")["message"]
    assert failed["failed"] in said
    assert failed["stable"]["revision"] in said
    assert course.routes[-1] == {names.SLOTS[0]: 100}
    return failed


def wall(monotonic_s: float) -> datetime:
    """The time of day of a moment of this process."""
    return datetime.fromtimestamp(time.time() - time.monotonic() + monotonic_s, UTC)


def _pods(services: Services, name: str, revision: str) -> set[str]:
    """Their uids."""
    return {
        pod["metadata"]["uid"]
        for pod in services.pods(name)
        if pod["metadata"]["labels"].get(names.REVISION_LABEL) == revision
    }
