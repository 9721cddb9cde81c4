"""SIGKILL after every single write: the next operator ends where an undisturbed one would have."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from cluster.rig import Rig
from support.apicall import Call
from support.kubeapi import Json
from support.operators import Stage, staged
from support.process import until
from support.services import POLL_S

FIRST: Json = {"networkPolicy": {"enabled": True}}
EDIT: Json = {
    "env": [{"name": "NEW", "value": "1"}],
    "networkPolicy": None,
    "replicas": {"min": 2},
}
"""Pods are replaced, one object comes and one goes."""

FEWEST_WRITES = {"create": 8, "update": 7}
"""Objects, Events and the status; less would mean that the kills do not reach everything."""

MOST_WRITES = 40


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


def _killed_after(
    stage: Stage, writes: int, act: Callable[[], Any], settled: Callable[[], bool]
) -> bool:
    """Whether there were so many writes; the operator is killed in the moment of the last."""
    victim = stage.operator
    killed: list[Call] = []

    def kill(call: Call) -> None:
        victim.kill()
        killed.append(call)

    stage.proxy.ledger.after_write(writes, kill)
    act()
    until(lambda: killed or settled(), f"write {writes}, or the end", every_s=POLL_S)
    stage.proxy.ledger.forget()
    if killed:
        victim.wait()
        stage.start()
    return bool(killed)


def _kill_after_each(
    stage: Stage, path: str, prepare: Callable[[str], Any], act: Callable[[str], Any]
) -> None:
    """`act` is what the kills are spread over; the first service lives through it undisturbed."""
    wanted = _undisturbed(stage, f"{path}-calm", prepare, act)
    for writes in range(1, MOST_WRITES):
        name = f"{path}-{writes}"
        prepare(name)
        killed = _killed_after(
            stage, writes, partial(act, name), partial(_done, stage, name, wanted)
        )
        stage.services.come_to(wanted, name)
        _told_once(stage, name)
        stage.services.delete(name)
        if not killed:
            assert writes > FEWEST_WRITES[path]
            return
    raise AssertionError(f"still writing after {MOST_WRITES} writes")


def _undisturbed(
    stage: Stage, name: str, prepare: Callable[[str], Any], act: Callable[[str], Any]
) -> Json:
    prepare(name)
    act(name)
    state = stage.services.settled(name)
    stage.services.delete(name)
    return state


def _done(stage: Stage, name: str, wanted: Json) -> bool:
    return stage.services.is_ready(name) and stage.services.end_state(name) == wanted


def _told_once(stage: Stage, name: str) -> None:
    told = Counter((e["reason"], e["message"]) for e in stage.services.events(name))
    assert told["Serving", "Ready: Ready is True."] <= 1, told


def test_killed_after_any_write_of_creating(stage: Stage) -> None:
    def create(name: str) -> None:
        stage.services.create(name, **FIRST)

    _kill_after_each(stage, "create", lambda name: None, create)


def test_killed_after_any_write_of_updating(stage: Stage) -> None:
    def prepare(name: str) -> None:
        stage.services.create(name, **FIRST)
        stage.services.settled(name)

    _kill_after_each(stage, "update", prepare, lambda name: stage.services.edit(name, **EDIT))
