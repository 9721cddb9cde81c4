import asyncio
from typing import Any

import pytest

from dfastllm_operator.core import Key, Seen
from dfastllm_operator.decide import decide
from dfastllm_operator.errors import Forbidden, Refuse
from dfastllm_operator.kinds import SERVICE, Kind
from dfastllm_operator.observe import Observed, observe
from dfastllm_operator.revision import revision_hash
from dfastllm_operator.sizing import HubConfig
from support.situations import platform, raw, record


class World:
    """Objects, Secrets and a hub that knows nothing; counts what is asked."""

    def __init__(self, *children: Seen, secrets: tuple[str, ...] = ()) -> None:
        self._children = list(children)
        self._secrets = secrets
        self.asked: list[str] = []
        self.forbidden = False

    def children(self, key: Key) -> list[Seen]:
        return self._children

    def rival(self, key: Key) -> Key | None:
        return None

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        if self.forbidden:
            raise Forbidden("secrets is forbidden", status=403)
        return name in self._secrets

    async def config(self, repository: str, revision: str | None) -> HubConfig | None:
        self.asked.append(repository)
        return None


def look(world: World, spec: dict[str, Any], **given: Any) -> Observed:
    return asyncio.run(observe(raw(spec, **given), platform(), world, world, world))


UNKNOWN = {"model": {"uri": "hf://somebody/new-model"}}


def owned(seen: Seen) -> Seen:
    seen.body["metadata"]["ownerReferences"] = [{"uid": "u-1", "controller": True}]
    return seen


def test_objects_of_somebody_else_are_not_seen() -> None:
    mine = owned(Seen(SERVICE, {"metadata": {"name": "demo"}}))
    foreign = Seen(SERVICE, {"metadata": {"name": "other", "ownerReferences": [{"uid": "x"}]}})
    assert look(World(mine, foreign), {}).seen == (mine,)


def test_a_secret_that_is_named_and_missing_is_found_out() -> None:
    spec = {"auth": {"apiKeysSecretRef": {"name": "keys"}}}
    assert look(World(), spec).secrets_missing == (("auth.apiKeysSecretRef", "keys"),)
    assert look(World(secrets=("keys",)), spec).secrets_missing == ()


def test_without_the_right_to_look_no_secret_is_missed() -> None:
    world = World()
    world.forbidden = True
    found = look(world, {"auth": {"apiKeysSecretRef": {"name": "keys"}}})
    assert found.secrets_missing == ()
    assert found.blind == "auth.apiKeysSecretRef: secrets is forbidden"


def test_secrets_of_variables_and_volumes_are_looked_for_too() -> None:
    key = {"name": "tokens", "key": "hub"}
    env = [
        {"name": "A", "valueFrom": {"secretKeyRef": key}},
        {"name": "B", "valueFrom": {"secretKeyRef": {**key, "name": "may-lack", "optional": True}}},
    ]
    volumes = [{"name": "v", "mountPath": "/v", "secret": {"name": "files"}}]
    missing = look(World(), {"env": env, "volumes": volumes}).secrets_missing
    assert [name for _, name in missing] == ["tokens", "files"]


def test_the_hub_is_asked_for_a_model_nobody_knows_and_only_then() -> None:
    world = World()
    assert look(world, UNKNOWN).unsized is not None
    assert world.asked == ["somebody/new-model"]
    for spec in ({}, {**UNKNOWN, "resources": {"requests": {"memory": "8Gi"}}}):
        world = World()
        assert look(world, spec).unsized is None
        assert world.asked == []


def test_the_hub_is_asked_for_a_verifier_nobody_knows() -> None:
    world = World()
    model = {"uri": "builtin://smol", "verifier": {"uri": "hf://somebody/small"}}
    found = look(world, {"model": model})
    assert world.asked == ["somebody/small"]
    assert found.unsized is not None
    assert "spec.model.verifier.size.parameters" in found.unsized.message


def test_the_hub_is_not_asked_for_a_revision_that_is_recorded() -> None:
    sized = {**UNKNOWN, "resources": {"requests": {"memory": "8Gi"}}}
    stored = owned(record(sized))
    found = look(World(), UNKNOWN)
    stored.body["metadata"]["name"] = f"demo-{revision_hash(found.service.spec)}"
    world = World(stored)
    look(world, UNKNOWN)
    assert world.asked == []


def test_a_spec_older_than_a_rule_keeps_its_last_good_revision() -> None:
    good = owned(record({}))
    status = {"updatedRevision": good.body["data"]["hash"]}
    found = look(World(good), {"replicas": {"min": 3, "max": 2}}, status=status)
    assert found.invalid is not None
    plan = decide(found)
    assert plan.problem is found.invalid
    assert plan.placements[0].revision.hash == status["updatedRevision"]


def test_a_spec_that_cannot_be_read_at_all_is_refused() -> None:
    with pytest.raises(Refuse, match="replicas"):
        look(World(), {"replicas": {"min": "many"}})
