"""Roles and bindings: the table of permissions, bound to the operator's account and nobody else."""

from typing import Any

import pytest

from dfastllm_operator import rbac
from dfastllm_operator.install import roles
from dfastllm_operator.install.identity import NAME, NAMESPACE
from dfastllm_operator.rbac import Grant, Permission

Json = dict[str, Any]
BOUND = [
    (roles.cluster_role(), roles.cluster_role_binding()),
    (roles.role("team"), roles.role_binding("team")),
    (roles.leader_role(), roles.leader_role_binding()),
]


def permissions(role: Json) -> set[Permission]:
    return {
        Permission(group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(
    ("role", "grants"),
    [
        (roles.cluster_role(), rbac.SERVICES),
        (roles.role("team"), rbac.SERVICES),
        (roles.leader_role(), rbac.LEADERSHIP),
        (roles.view_role(), rbac.VIEWERS),
        (roles.edit_role(), rbac.EDITORS),
    ],
    ids=lambda value: value["metadata"]["name"] if isinstance(value, dict) else "",
)
def test_a_role_holds_the_table(role: Json, grants: tuple[Grant, ...]) -> None:
    assert permissions(role) == rbac.permissions(grants)


@pytest.mark.parametrize(("role", "binding"), BOUND)
def test_a_binding_gives_its_role_to_the_operator_alone(role: Json, binding: Json) -> None:
    assert binding["kind"] == f"{role['kind']}Binding"
    assert binding["roleRef"]["kind"] == role["kind"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["metadata"].get("namespace") == role["metadata"].get("namespace")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]


def test_a_role_for_one_namespace_is_no_cluster_role() -> None:
    assert (roles.role("team")["kind"], roles.role_binding("team")["kind"]) == (
        "Role",
        "RoleBinding",
    )


def test_the_lease_is_a_matter_of_the_operators_namespace() -> None:
    assert roles.leader_role()["kind"] == "Role"
    assert roles.leader_role()["metadata"]["namespace"] == NAMESPACE


def test_people_get_their_rights_through_kubernetes_own_roles() -> None:
    joins = "rbac.authorization.k8s.io/aggregate-to-"
    assert roles.view_role()["metadata"]["labels"][f"{joins}view"] == "true"
    assert roles.edit_role()["metadata"]["labels"][f"{joins}edit"] == "true"
    assert f"{joins}view" not in roles.edit_role()["metadata"]["labels"]


def test_pods_get_no_token_by_the_account_itself() -> None:
    assert roles.service_account()["automountServiceAccountToken"] is False
