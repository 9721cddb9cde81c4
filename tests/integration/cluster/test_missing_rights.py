"""Rights that the account lacks are named: the operator ends, or goes on with what is left."""

from collections.abc import Callable, Iterator

import pytest

from cluster.rig import Rig
from dfastllm_operator.app import Exit
from dfastllm_operator.kinds import NETWORK_POLICY, SECRET, SERVICE_RESOURCE
from dfastllm_operator.rbac import SERVICES, Grant
from support.installed import grant
from support.operators import Operator, Stage, staged
from support.process import until


@pytest.fixture
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig, start=False) as stage:
        yield stage


def _grant_all_but(stage: Stage, lacks: Callable[[Grant, str], bool]) -> None:
    """Every right that the operator asks for, less the verbs that `lacks` picks."""
    left = [
        Grant(one.kind, verbs, one.why, one.subresource)
        for one in SERVICES
        if (verbs := tuple(verb for verb in one.verbs if not lacks(one, verb)))
    ]
    grant(stage.api, stage.namespace, left)


def _missing(operator: Operator) -> list[str]:
    """What it has said by the time it works."""
    until(lambda: operator.said("synced"), "at work")
    return [line["permission"] for line in operator.said("a permission is missing")]


def test_without_a_right_it_cannot_do_without_it_says_which_and_ends(stage: Stage) -> None:
    _grant_all_but(
        stage,
        lambda one, verb: (
            one.kind is SERVICE_RESOURCE and (verb == "watch" or one.subresource == "status")
        ),
    )
    operator = stage.start(wait=False)
    assert operator.wait() == Exit.NOT_ALLOWED
    (said,) = operator.said("stopped")
    assert f"watch dfastllmservices of dfastllm.io in {stage.namespace}" in said["error"]
    assert f"patch dfastllmservices/status of dfastllm.io in {stage.namespace}" in said["error"]
    assert "list dfastllmservices" not in said["error"]
    stage.operators.clear()  # none is left that could go in peace


def test_without_another_right_it_works_as_far_as_it_may_and_says_what_is_missing(
    stage: Stage,
) -> None:
    _grant_all_but(stage, lambda one, verb: one.kind is NETWORK_POLICY and verb == "create")
    operator = stage.start()
    assert _missing(operator) == [
        f"create networkpolicies of networking.k8s.io in {stage.namespace}"
    ]
    stage.services.create(networkPolicy={"enabled": True})
    found = stage.services.wait("Degraded", "True", "ApplyFailed")
    assert "networkpolicies" in found["message"]
    assert "forbidden" in found["message"]
    stage.services.wait("Ready", "True")

    grant(stage.api, stage.namespace)
    stage.services.wait("Degraded", "False")
    stage.services.ready()
    assert stage.services.child(NETWORK_POLICY, "demo") is not None
    assert operator.running


def test_without_the_right_to_look_for_secrets_services_without_one_work(stage: Stage) -> None:
    _grant_all_but(stage, lambda one, _: one.kind is SECRET)
    operator = stage.start()
    assert _missing(operator) == [f"get secrets in {stage.namespace}"]
    stage.services.create("open")
    stage.services.ready("open")
    secret = {"metadata": {"name": "keys"}, "stringData": {"alice": "token"}}
    stage.services.api.create(SECRET, stage.namespace, secret)
    stage.services.create(auth={"apiKeysSecretRef": {"name": "keys"}})
    found = stage.services.wait("Degraded", "True", "PermissionMissing")
    assert "secrets" in found["message"]
    stage.services.wait("Ready", "True")

    grant(stage.api, stage.namespace)
    stage.services.ready()
