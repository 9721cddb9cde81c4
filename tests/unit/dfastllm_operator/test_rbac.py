"""What the operator may do: no more than it needs, each permission with its reason."""

from collections import Counter

import pytest

from dfastllm_operator import rbac
from dfastllm_operator.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    OWNED,
    POD,
    READ_ONLY,
    SERVICE_RESOURCE,
)
from dfastllm_operator.rbac import EDITORS, LEADERSHIP, SERVICES, VIEWERS, Grant, Permission
from dfastllm_operator.settings import Settings

OPERATORS = (*SERVICES, *LEADERSHIP)
EVERYBODYS = (*OPERATORS, *VIEWERS, *EDITORS)


def verbs_on(resource: str) -> set[str]:
    return {p.verb for p in rbac.permissions(OPERATORS) if p.resource == resource}


def test_nothing_is_granted_by_wildcard() -> None:
    assert "*" not in {part for p in rbac.permissions(EVERYBODYS) for part in p}


def test_nothing_is_granted_twice() -> None:
    granted = Counter(
        permission for grant in OPERATORS for permission in grant.permissions()
    ).most_common(1)
    assert granted[0][1] == 1


@pytest.mark.parametrize("grant", EVERYBODYS, ids=lambda g: f"{g.resource}-{'-'.join(g.verbs)}")
def test_each_grant_says_why(grant: Grant) -> None:
    assert grant.why
    assert "\n" not in grant.why, "it becomes a comment of one line"


def test_secrets_are_read_one_at_a_time() -> None:
    assert verbs_on("secrets") == {"get"}


def test_what_is_owned_can_be_made_repaired_and_deleted() -> None:
    wanted = {"get", "list", "watch", "create", "patch", "delete"}
    assert {kind.plural: verbs_on(kind.plural) for kind in OWNED} == {
        kind.plural: wanted for kind in OWNED
    }


def test_what_others_make_is_watched_and_never_written() -> None:
    assert set(READ_ONLY) == {DEPLOYMENT, POD, ENDPOINT_SLICE}
    assert {kind.plural: verbs_on(kind.plural) for kind in READ_ONLY} == {
        kind.plural: {"list", "watch"} for kind in READ_ONLY
    }


def test_of_a_deployment_only_the_size_is_written() -> None:
    assert verbs_on(f"{DEPLOYMENT.plural}/scale") == {"patch"}


def test_of_a_service_only_the_status_is_written() -> None:
    assert verbs_on(SERVICE_RESOURCE.plural) == {"get", "list", "watch"}
    assert verbs_on(f"{SERVICE_RESOURCE.plural}/status") == {"patch"}


def test_only_the_one_lease_is_read_and_written() -> None:
    assert rbac.permissions(LEADERSHIP) == {
        Permission("coordination.k8s.io", "leases", verb) for verb in ("create", "get", "update")
    }
    named = [grant.rule() for grant in LEADERSHIP if grant.verbs != ("create",)]
    assert [rule["resourceNames"] for rule in named] == [[Settings().lease_name]]


def test_roles_hold_what_the_grants_say() -> None:
    grant = Grant(SERVICE_RESOURCE, ("get", "patch"), "for this test", "scale", only="one")
    assert grant.rule() == {
        "apiGroups": ["dfastllm.io"],
        "resources": ["dfastllmservices/scale"],
        "resourceNames": ["one"],
        "verbs": ["get", "patch"],
    }
