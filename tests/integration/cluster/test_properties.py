"""Whatever users ask for, in whatever order: what comes of it depends on the last wish alone.

Walks of several services go on side by side, since most of the time is waiting for pods.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from cluster.rig import Rig
from dfastllm_operator import names
from dfastllm_operator.kinds import DEPLOYMENT
from support.endstate import difference
from support.kubeapi import Json
from support.looks import looks, quiet
from support.operators import Stage, staged
from support.process import until
from support.services import Services, condition

SIDE_BY_SIDE = 4
FEW, MANY = 2, 50
ROUNDS = pytest.mark.parametrize(
    "rounds", [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
EXTERNAL = {"type": "external"}
NAME = "%"  # in a wish: the service's own

WISHES: dict[str, list[Any]] = {
    "decoding": [{"strategy": "fixed"}, {"strategy": "threshold", "threshold": 0.7}],
    "engine": [{"maxRunningRequests": 4}, {"maxQueuedRequests": 9}],
    "replicas": [{"min": 0}, {"min": 2}, {"min": 3}],
    "ingress": [{"enabled": False}, {"hostname": f"{NAME}.example.org"}, {"timeout": "5m"}],
    "monitoring": [{"enabled": True}, {"enabled": True, "interval": "5s"}],
    "networkPolicy": [
        {"enabled": True},
        {"enabled": True, "from": [{"podLabels": {"role": "client"}}]},
    ],
    "env": [[{"name": "A", "value": "1"}], [{"name": "B", "value": "2"}]],
    "image": ["localhost/other-server:1"],
    "autoscaling": [EXTERNAL],
    "podLabels": [{"team": "a"}],
    "volumes": [[{"name": "x", "mountPath": "/x", "emptyDir": {}}]],
    "serviceAccountName": ["default"],
    "rateLimit": [{"requests": "5/second"}],
    "rollout": [{"revisionHistoryLimit": 0}, {"strategy": "Recreate", "revisionHistoryLimit": 1}],
}
MISTAKES: list[Json] = [
    {"auth": {"apiKeysSecretRef": {"name": "nowhere"}}},
    {"model": {"uri": "s3://models/of-unknown-size"}},
    {
        "model": {"uri": "hf://some/big", "size": {"parameters": "70B"}},
        "resources": {"gpu": {"count": 1, "memory": "8Gi"}},
    },
    {"model": {"uri": "ftp://nowhere"}},
    {"decoding": {"strategy": "magic"}},
]


@dataclass(frozen=True, slots=True)
class Walk:
    """What one service is asked for: `first`, a mistake, more `between`, and `last`.

    What is marked with True is waited for until the operator has seen it.
    """

    first: Json
    mistake: Json
    between: list[tuple[Json, bool]]
    last: Json


SPECS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in WISHES.items()}
).filter(lambda spec: not {"autoscaling", "replicas"} <= spec.keys())  # they exclude one another
PAUSED = SPECS.map(lambda spec: {**spec, "paused": True})
MISTAKEN = st.builds(lambda spec, wrong: {**spec, **wrong}, SPECS, st.sampled_from(MISTAKES))
BETWEEN = st.lists(st.tuples(st.one_of(SPECS, PAUSED, MISTAKEN), st.booleans()), max_size=3)
WALKS = st.builds(Walk, SPECS, st.sampled_from(MISTAKES), BETWEEN, SPECS).filter(
    lambda walk: walk.first != walk.last
)
COMPANIES = st.lists(
    WALKS, min_size=SIDE_BY_SIDE, max_size=SIDE_BY_SIDE, unique_by=lambda walk: repr(walk.first)
)
PICKED = [
    Walk(
        first={"networkPolicy": {"enabled": True, "from": [{"podLabels": {"role": "client"}}]}},
        mistake=MISTAKES[0],
        between=[],
        last={"networkPolicy": {"enabled": True}},
    ),
    Walk(
        first={"replicas": {"min": 3}, "image": "localhost/other-server:1"},
        mistake=MISTAKES[1],
        between=[({"replicas": {"min": 0}}, True), ({"paused": True}, True)],
        last={"autoscaling": EXTERNAL},
    ),
    Walk(
        first={"ingress": {"hostname": f"{NAME}.example.org"}},
        mistake=MISTAKES[2],
        between=[({"ingress": {"enabled": False}}, True)],
        last={"ingress": {"timeout": "5m"}, "monitoring": {"enabled": True}},
    ),
    Walk(
        first={"env": [{"name": "A", "value": "1"}], "serviceAccountName": "default"},
        mistake=MISTAKES[3],
        between=[({"env": [{"name": "B", "value": "2"}]}, False), (MISTAKES[0], True)],
        last={"env": [{"name": "B", "value": "2"}], "replicas": {"min": 0}},
    ),
]
"""What random walks seldom meet: a spec that only takes something away, all numbers of replicas."""
SERIAL = count()


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


@ROUNDS
def test_the_end_depends_on_the_last_spec_alone_and_no_mistake_harms(
    rounds: int, stage: Stage
) -> None:
    @settings(
        max_examples=rounds,
        deadline=None,
        derandomize=rounds == FEW,  # the few are always the same ones
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a try is too dear for shrinking
        print_blob=True,
    )
    @example(PICKED)
    @given(COMPANIES)
    def holds(walks: list[Walk]) -> None:
        company = Company(stage, walks)
        try:
            company.walk()
        finally:
            company.leave()

    holds()


class Company:
    """Services that walk, and for each another one that is at its end from the beginning."""

    def __init__(self, stage: Stage, walks: list[Walk]) -> None:
        self.stage = stage
        self.walks = {f"walk{next(SERIAL)}": walk for walk in walks}
        self.fresh = {f"fresh{next(SERIAL)}": walk for walk in walks}

    @property
    def services(self) -> Services:
        return self.stage.services

    def walk(self) -> None:
        firsts = {name: walk.first for name, walk in self.walks.items()}
        lasts = {name: walk.last for name, walk in self.walks.items()}
        at_the_end = {name: walk.last for name, walk in self.fresh.items()}
        states = self._rest(firsts | at_the_end)
        begun, fresh = states[: len(firsts)], states[len(firsts) :]
        self._no_mistake_harms()
        self._wander()
        arrived = self._rest(lasts)
        for walk, state, as_if_new in zip(self.walks.values(), arrived, fresh, strict=True):
            assert state == as_if_new, _told("path independence", walk, as_if_new, state)
        self._a_restart_writes_nothing()
        again = self._rest(firsts)
        for walk, then, now in zip(self.walks.values(), begun, again, strict=True):
            assert now == then, _told("rollback", walk, then, now)
        quiet(self.stage)

    def leave(self) -> None:
        for name in (*self.walks, *self.fresh):
            self.services.delete(name)

    def _rest(self, specs: dict[str, Json]) -> list[Json]:
        """Convergence: the end state of each, once it is what its spec asks for."""
        for name, spec in specs.items():
            assert _put(self.services, name, spec), f"refused: {spec}"
        for name, spec in specs.items():
            if spec.get("autoscaling") == EXTERNAL:
                _scale_as_somebody_else(self.services, name)
        for name in specs:
            _wait_rest(self.services, name)
        quiet(self.stage)
        return [self.services.end_state(name, history=False) for name in specs]

    def _no_mistake_harms(self) -> None:
        before = {name: _serving(self.services, name) for name in self.walks}
        for name, walk in self.walks.items():
            if _put(self.services, name, {**walk.first, **walk.mistake}):
                self.services.wait("ConfigReady", "False", "", name)
        quiet(self.stage)
        for name, serving in before.items():
            assert _serving(self.services, name) == serving, f"harmed by a mistake: {name}"

    def _wander(self) -> None:
        for place in range(max(len(walk.between) for walk in self.walks.values())):
            steps = {n: w.between[place] for n, w in self.walks.items() if place < len(w.between)}
            for name, (spec, _) in steps.items():
                _put(self.services, name, spec)
            for name, (_, waits) in steps.items():
                if waits:
                    _wait_noticed(self.services, name)

    def _a_restart_writes_nothing(self) -> None:
        """Idempotence, with all of them in place."""
        written = len(self.stage.proxy.ledger.writes)
        operator = self.stage.restart()
        everybody = len(self.services.every())
        until(lambda: looks(operator) >= everybody, "a look at every service")
        assert self.stage.proxy.ledger.writes[written:] == []


def _told(rule: str, walk: Walk, wanted: Json, found: Json) -> str:
    return f"{rule} does not hold for {walk}\n{difference(wanted, found)}"


def _put(services: Services, name: str, spec: Json) -> bool:
    """Whether the API server takes it."""
    try:
        services.put(name, **json.loads(json.dumps(spec).replace(NAME, name)))
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            return False
        raise
    return True


def _noticed(services: Services, name: str) -> bool:
    body = services.get(name)
    seen = (body.get("status") or {}).get("observedGeneration")
    return bool(seen == body["metadata"]["generation"])


def _wait_noticed(services: Services, name: str) -> None:
    until(lambda: _noticed(services, name), f"{name} noticed")


def _scale_as_somebody_else(services: Services, name: str) -> None:
    """To one replica, wherever it came from."""
    deployment = names.predictor(name, services.namespace, "a")
    _wait_noticed(services, name)
    until(lambda: services.child(DEPLOYMENT, deployment), deployment)
    services.api.merge(DEPLOYMENT, services.namespace, deployment, {"spec": {"replicas": 1}})


def _wait_rest(services: Services, name: str) -> None:
    """Everything is as the spec asks, be it with no replica."""
    services.wait("Progressing", "False", "Complete", name)
    services.wait("RouteReady", "True", "", name)
    services.wait("Degraded", "False", "", name)
    services.prune(name)


def _serving(services: Services, name: str) -> Json:
    deployment = services.deployment(name)
    return {
        "pods": services.pod_uids(name),
        "template": deployment["spec"]["template"],
        "Deployment": (deployment["metadata"]["uid"], deployment["metadata"]["generation"]),
        "InferenceService": services.inference_service(name)["spec"],
        "Ready": condition(services.get(name), "Ready")["status"],
    }
