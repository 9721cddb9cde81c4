"""An API server fails in every way a client can see: the end is the same, nothing is doubled."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from cluster.rig import Rig
from dfastllm_operator import rbac
from dfastllm_operator.kinds import NETWORK_POLICY, SERVICE, SERVICE_RESOURCE
from support.faults import (
    Answer,
    Coalesce,
    Delay,
    Drop,
    Duplicate,
    ErrorEvent,
    Fault,
    LoseAnswer,
    Rule,
    StaleList,
)
from support.installed import grant
from support.kubeapi import Json
from support.looks import quiet
from support.operators import Stage, staged
from support.process import until
from support.scene import is_of_rollout
from support.services import POLL_S

FIRST: Json = {"networkPolicy": {"enabled": True}}
CANARY: Json = {
    "strategy": "Canary",
    "steps": [{"weight": 50}],
    "scaleDownDelay": "5s",
    "drain": {"timeout": "1s"},
}
EDIT: Json = {"env": [{"name": "NEW", "value": "1"}], "networkPolicy": None}
OUTAGE_S = 120.0
MOVES_S = 300.0
HANGING_S = 4.0
"""Longer than the operator waits for an answer in tests."""

WRITES: dict[str, Any] = {"writes": True}
WATCHES: dict[str, Any] = {"verbs": ("watch",)}
OF_SERVICES: dict[str, Any] = {**WATCHES, "resource": SERVICE_RESOURCE.plural}


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault, the requests it hits, and how many of them; `watches`: the open ones are closed."""

    fault: Fault
    requests: dict[str, Any] = field(default_factory=dict)
    times: int | None = None
    watches: bool = False


TRIALS = {
    "401": Trial(Answer(401), times=8),
    "409": Trial(Answer(409), WRITES, times=6),
    "429": Trial(Answer(429, retry_after_s=1), WRITES, times=3),
    "500": Trial(Answer(500), times=12),
    "503": Trial(Answer(503), times=12),
    "503 for the status": Trial(Answer(503), {"subresource": "status"}, times=4),
    "504 for KServe's webhooks": Trial(
        Answer(500, message="failed calling webhook"), {"resource": "inferenceservices"}, times=4
    ),
    "dropped requests": Trial(Drop(), WRITES, times=6),
    "lost answers": Trial(LoseAnswer(), WRITES, times=6),
    "latency": Trial(Delay(0.2)),
    "hanging requests": Trial(Delay(HANGING_S), WRITES, times=1),
    "410 for watches": Trial(Answer(410), WATCHES, times=5, watches=True),
    "410 in watches": Trial(ErrorEvent(), WATCHES, times=5, watches=True),
    "500 in watches": Trial(ErrorEvent(500), WATCHES, times=5, watches=True),
    "410 for the watch of services": Trial(Answer(410), OF_SERVICES, times=1, watches=True),
    "500 in the watch of services": Trial(ErrorEvent(500), OF_SERVICES, times=1, watches=True),
    "closed watches": Trial(Drop(), WATCHES, times=5, watches=True),
    "doubled events": Trial(Duplicate(), WATCHES, watches=True),
    "coalesced events": Trial(Coalesce(0.3), WATCHES, watches=True),
}


@pytest.fixture(scope="module")
def shared(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """A test that fails leaves neither its faults nor a dead operator to the next one."""
    if not shared.operator.running:
        shared.start()
    yield shared
    shared.proxy.clear()


@dataclass(frozen=True, slots=True)
class Calm:
    """What an undisturbed operator comes to: after the creation, after the edit."""

    created: Json
    edited: Json


@pytest.fixture(scope="module")
def calm(shared: Stage) -> Calm:
    shared.services.create("calm", **FIRST)
    created = shared.services.settled("calm")
    shared.services.edit("calm", **EDIT)
    return Calm(created, shared.services.settled("calm"))


def _none_told_twice(stage: Stage, name: str) -> None:
    told = Counter((e["reason"], e["message"]) for e in stage.services.events(name))
    assert told["Serving", "Ready: Ready is True."] <= 1, told


def _met(rule: Rule) -> bool:
    return rule.hits > 0


def _service_name(title: str) -> str:
    return "-".join(("x", *title.lower().replace("'", "").split()))


@pytest.mark.parametrize("title", TRIALS)
def test_the_end_is_the_same_after(title: str, stage: Stage, calm: Calm) -> None:
    trial, name = TRIALS[title], _service_name(title)
    for act, wanted in ((_create, calm.created), (_edit, calm.edited)):
        rule = stage.proxy.fault(trial.fault, times=trial.times, **trial.requests)
        if trial.watches:
            stage.proxy.close_watches()
        act(stage, name)
        stage.services.come_to(wanted, name)
        until(partial(_met, rule), "the fault is met")
        stage.proxy.remove(rule)
        stage.proxy.close_watches()
    _none_told_twice(stage, name)
    assert stage.operator.running
    stage.services.delete(name)


def _create(stage: Stage, name: str) -> None:
    stage.services.create(name, **FIRST)


def _edit(stage: Stage, name: str) -> None:
    stage.services.edit(name, **EDIT)


def test_silent_watches_are_opened_anew(stage: Stage, calm: Calm) -> None:
    stage.services.create("silent", **FIRST)
    stage.services.settled("silent")
    assert stage.proxy.silence_watches() > 5
    stage.services.edit("silent", **EDIT)
    stage.services.come_to(calm.edited, "silent")
    stage.services.api.delete(SERVICE, stage.namespace, "silent")
    until(lambda: stage.services.child(SERVICE, "silent"), "the Service again")
    assert stage.operator.running


def test_a_server_that_lags_behind_leads_to_the_same_end(stage: Stage, calm: Calm) -> None:
    stage.services.create("lagging", **FIRST)
    stage.services.settled("lagging")
    _restart_synced(stage)  # what it lists is what it is told again
    stage.services.edit("lagging", **EDIT)
    stage.services.settled("lagging")
    rule = stage.proxy.fault(StaleList(), verbs=("list",))
    _restart_synced(stage)
    assert rule.hits
    stage.proxy.remove(rule)
    stage.services.come_to(calm.edited, "lagging")


def _restart_synced(stage: Stage) -> None:
    stage.restart()
    until(lambda: stage.operator.said("synced"), "everything listed")


def test_a_rotated_token_is_picked_up(stage: Stage, calm: Calm) -> None:
    stage.services.create("rotated", **FIRST)
    stage.services.settled("rotated")
    old = stage.renew_token()
    until(lambda: not stage.accepts(old), "the old token refused", every_s=POLL_S)
    stage.services.edit("rotated", **EDIT)
    stage.services.come_to(calm.edited, "rotated")


def test_one_kind_that_fails_keeps_no_other_back(stage: Stage, calm: Calm) -> None:
    rule = stage.proxy.fault(Answer(503), resource="networkpolicies", writes=True)
    stage.services.create("partial", **FIRST)
    found = stage.services.wait("Degraded", "True", "ApplyFailed", "partial")
    assert "NetworkPolicy" in found["message"]
    stage.services.wait("Ready", "True", "", "partial")
    stage.proxy.remove(rule)
    stage.services.come_to(calm.created, "partial")


def test_changes_during_an_outage_are_made_up_for(stage: Stage, calm: Calm) -> None:
    _sit_out(stage, calm, "outage", 3.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_minutes_of_outage_are_sat_out(rig: Rig, calm: Calm) -> None:
    with staged(rig, start=False) as stage:
        stage.start(outage_s=2 * OUTAGE_S)
        operator = stage.operator
        _sit_out(stage, calm, "outage", OUTAGE_S)
        assert stage.operator is operator


@pytest.mark.timeout(1200)
def test_events_that_are_refused_while_a_rollout_moves_are_told_afterwards(stage: Stage) -> None:
    name, services = "untold", stage.services
    services.create(name, rollout=CANARY)
    services.ready(name)
    _within(lambda: _rollout(stage, name).get("phase") == "Stable", "a rollout at rest")
    refused = stage.proxy.fault(Answer(403), verbs=("create",), resource="events")
    services.edit(name, decoding={"threshold": 0.6})
    _within(lambda: _rollout(stage, name)["phase"] == "Analyzing", "some moves")
    assert len(_moves(stage, name)) > 2
    assert refused.hits
    assert _told(stage, name) == []
    stage.proxy.remove(refused)
    services.edit(name, decoding=None)
    _within(lambda: _rollout(stage, name)["phase"] == "Stable", "back at stable")
    moves = _moves(stage, name)
    _within(lambda: _told(stage, name) == moves, "each move told, once, oldest first")
    stage.restart()
    quiet(stage)
    assert _told(stage, name) == _moves(stage, name) == moves
    services.delete(name)


def _within(condition: Callable[[], bool], what: str) -> None:
    until(condition, what, MOVES_S, every_s=POLL_S)


def _rollout(stage: Stage, name: str) -> Json:
    found: Json = stage.services.get(name)["status"].get("rollout") or {}
    return found


def _moves(stage: Stage, name: str) -> list[tuple[str, str]]:
    moves = _rollout(stage, name).get("moves", [])
    return [(move["reason"], move["message"]) for move in moves]


def _told(stage: Stage, name: str) -> list[tuple[str, str]]:
    """Events of moves of its rollout, in the order in which they were created."""
    return [(e["reason"], e["message"]) for e in stage.services.events(name) if is_of_rollout(e)]


def _sit_out(stage: Stage, calm: Calm, name: str, seconds: float) -> None:
    stage.services.create(name, **FIRST)
    stage.services.settled(name)
    with stage.proxy.outage():
        stage.services.edit(name, **EDIT)
        stage.services.api.delete(SERVICE, stage.namespace, name)
        time.sleep(seconds)
        assert stage.operator.running
        assert stage.operator.status("/livez") == 200
    stage.services.come_to(calm.edited, name)
    assert stage.services.child(SERVICE, name) is not None


def test_a_missing_permission_is_named(stage: Stage, calm: Calm) -> None:
    less = [g for g in rbac.SERVICES if g.kind is not NETWORK_POLICY]
    grant(stage.api, stage.namespace, less)
    try:
        stage.services.create("forbidden", **FIRST)
        found = stage.services.wait("Degraded", "True", "ApplyFailed", "forbidden")
        assert "networkpolicies" in found["message"]
        assert "cannot get" in found["message"]
        stage.services.wait("Ready", "True", "", "forbidden")
    finally:
        grant(stage.api, stage.namespace)
    stage.services.come_to(calm.created, "forbidden")
