"""Whatever users ask for, in whatever order: what comes of it depends on the last wish alone."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.rig import Rig
from support.kubeapi import Json
from support.operators import Stage, staged
from support.process import until

FEW, MANY = 3, 200
EXAMPLES = pytest.mark.parametrize(
    "examples", [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)

WISHES: dict[str, list[Any]] = {
    "env": [[{"name": "A", "value": "1"}], [{"name": "A", "value": "2"}]],
    "engine": [{"maxRunningRequests": 4}],
    "decoding": [{"strategy": "fixed"}, {"threshold": 0.7}],
    "podLabels": [{"team": "a"}],
    "volumes": [[{"name": "x", "mountPath": "/x", "emptyDir": {}}]],
    "serviceAccountName": ["default"],
    "replicas": [{"min": 2}, {"min": 1, "max": 3}],
    "ingress": [{"timeout": "5m"}, {"enabled": False}],
    "monitoring": [{"enabled": True}, {"enabled": True, "interval": "5s"}],
    "networkPolicy": [{"enabled": True}],
    "rateLimit": [{"requests": "5/second"}],
}
SPECS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in WISHES.items()}
)
MISTAKES: list[Json] = [
    {"auth": {"apiKeysSecretRef": {"name": "nowhere"}}},
    {"model": {"uri": "hf://someone/unknown"}},
    {
        "model": {"uri": "hf://some/big", "size": {"parameters": "70B"}},
        "resources": {"gpu": {"count": 1, "memory": "8Gi"}},
    },
    {"model": {"uri": "ftp://nowhere"}},
    {"replicas": {"min": 3, "max": 2}},
    {"engine": {"maxRunningRequests": 0}},
    {"decoding": {"strategy": "apd"}},
]
SERIAL = count()


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


def _name() -> str:
    return f"p{next(SERIAL)}"


def _tried(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The few are always the same ones; the many are new each time."""
    tried: Callable[[Callable[..., None]], Callable[..., None]] = settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples == FEW,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    return tried


@EXAMPLES
def test_only_the_last_spec_counts(examples: int, stage: Stage) -> None:
    """Convergence and path independence: as if nothing else had ever been asked for."""

    @_tried(examples)
    @given(st.lists(st.tuples(SPECS, st.booleans()), min_size=2, max_size=4))
    def holds(path: list[tuple[Json, bool]]) -> None:
        wanderer, fresh = _name(), _name()
        for spec, wait in path:
            stage.services.put(wanderer, **spec)
            if wait:
                stage.services.settled(wanderer)
        stage.services.put(fresh, **path[-1][0])
        assert stage.services.settled(wanderer) == stage.services.settled(fresh)
        _clear(stage, wanderer, fresh)

    holds()


@EXAMPLES
def test_the_way_back_leads_to_the_same_place(examples: int, stage: Stage) -> None:
    """Rollback, idempotence and quiescence."""

    @_tried(examples)
    @given(SPECS, SPECS)
    def holds(first: Json, second: Json) -> None:
        name = _name()
        stage.services.put(name, **first)
        before = stage.services.settled(name)
        stage.services.put(name, **second)
        stage.services.settled(name)
        stage.services.put(name, **first)
        assert stage.services.settled(name) == before
        until(stage.quiet, "no more writes")
        written = len(stage.proxy.ledger.writes)
        stage.services.put(name, **first)
        stage.services.touch(name)
        assert stage.quiet()
        assert stage.proxy.ledger.writes[written:] == []
        _clear(stage, name)

    holds()


@EXAMPLES
def test_a_mistake_never_harms_what_serves(examples: int, stage: Stage) -> None:
    @_tried(examples)
    @given(SPECS, st.sampled_from(MISTAKES))
    def holds(good: Json, mistake: Json) -> None:
        name = _name()
        stage.services.put(name, **good)
        before = stage.services.settled(name)
        pods = stage.services.pod_uids(name)
        serving = stage.services.inference_service(name)["metadata"]["generation"]
        if _accepted(stage, name, {**good, **mistake}):
            stage.services.wait("ConfigReady", "False", "", name)
            stage.services.wait("Ready", "True", "", name)
        until(stage.quiet, "no more writes")
        assert stage.services.pod_uids(name) == pods
        assert stage.services.inference_service(name)["metadata"]["generation"] == serving
        stage.services.put(name, **good)
        assert stage.services.settled(name) == before
        assert stage.services.pod_uids(name) == pods
        _clear(stage, name)

    holds()


def _accepted(stage: Stage, name: str, spec: Json) -> bool:
    try:
        stage.services.put(name, **spec)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 422:
            return False
        raise
    return True


def _clear(stage: Stage, *names: str) -> None:
    for name in names:
        stage.services.delete(name)
