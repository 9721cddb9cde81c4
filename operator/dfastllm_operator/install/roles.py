"""The operator's account and its roles, and roles for people, from the table of `rbac`.

Two ways to install: for the whole cluster, or for named namespaces, then without a single
permission outside of them.
"""

from collections.abc import Sequence

from dfastllm_operator import rbac
from dfastllm_operator.core import Json
from dfastllm_operator.install.identity import NAME, NAMESPACE, PART_OF, metadata

GROUP = "rbac.authorization.k8s.io"
LEADER = f"{NAME}-leader"


def service_account() -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(NAME),
        # The Deployment mounts the token itself; nothing else that uses this account gets one.
        "automountServiceAccountToken": False,
    }


def cluster_role() -> Json:
    return _role("ClusterRole", NAME, None, rbac.SERVICES)


def cluster_role_binding() -> Json:
    return _binding("ClusterRole", NAME, None)


def role(namespace: str) -> Json:
    """What `cluster_role` grants, in one namespace."""
    return _role("Role", NAME, namespace, rbac.SERVICES)


def role_binding(namespace: str) -> Json:
    return _binding("Role", NAME, namespace)


def leader_role() -> Json:
    return _role("Role", LEADER, NAMESPACE, rbac.LEADERSHIP)


def leader_role_binding() -> Json:
    return _binding("Role", LEADER, NAMESPACE)


def view_role() -> Json:
    """Added to Kubernetes' own `view`, and so to `edit` and `admin`."""
    return _for_people(f"{PART_OF}-view", "view", rbac.VIEWERS)


def edit_role() -> Json:
    """Added to Kubernetes' own `edit`, and so to `admin`."""
    return _for_people(f"{PART_OF}-edit", "edit", rbac.EDITORS)


def _for_people(name: str, joins: str, grants: Sequence[rbac.Grant]) -> Json:
    body = _role("ClusterRole", name, None, grants)
    body["metadata"]["labels"][f"{GROUP}/aggregate-to-{joins}"] = "true"
    return body


def _role(kind: str, name: str, namespace: str | None, grants: Sequence[rbac.Grant]) -> Json:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": metadata(name, namespace),
        "rules": [grant.rule() for grant in grants],
    }


def _binding(kind: str, name: str, namespace: str | None) -> Json:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata(name, namespace),
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
