"""What an installation puts into a cluster before its operator runs: CRD, runtimes, account."""

from collections.abc import Sequence

from dfastllm_operator import rbac
from dfastllm_operator.api.crd import crd
from dfastllm_operator.kinds import SERVICE_ACCOUNT, SERVING_RUNTIME, Kind
from dfastllm_operator.resources.runtime import runtimes
from support.kubeapi import Json, KubeApi
from support.process import until
from support.services import condition

ACCOUNT = "operator"
CRD = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
RBAC = "rbac.authorization.k8s.io"


def install_crd(api: KubeApi) -> None:
    """Served afterwards, if it was not before."""
    api.apply(CRD, "", crd())
    name = crd()["metadata"]["name"]
    until(lambda: condition(api.get(CRD, "", name), "Established")["status"] == "True", name)


def install_runtimes(api: KubeApi, namespace: str) -> None:
    """What InferenceServices refer to; nothing where there is no KServe."""
    if not api.serves(SERVING_RUNTIME):
        return
    for body in runtimes("localhost/dfastllm-server:0", "0", namespace=namespace):
        api.apply(SERVING_RUNTIME, namespace, body)


def grant(
    api: KubeApi,
    namespace: str,
    grants: Sequence[rbac.Grant] = rbac.SERVICES,
    *,
    clusterwide: bool = False,
) -> None:
    """An account with the rules that the operator ships with, unless `grants` are others."""
    services = [one.rule() for one in grants]
    leadership = [one.rule() for one in rbac.LEADERSHIP]
    api.apply(SERVICE_ACCOUNT, namespace, {"metadata": {"name": ACCOUNT}})
    if clusterwide:
        _bind(api, "Cluster", "", namespace, services)
        _bind(api, "", namespace, namespace, leadership)
    else:
        _bind(api, "", namespace, namespace, [*services, *leadership])


def _bind(
    api: KubeApi, scope: str, namespace: str, account_namespace: str, rules: list[Json]
) -> None:
    role = Kind(RBAC, "v1", f"{scope}Role", f"{scope.lower()}roles")
    binding = Kind(RBAC, "v1", f"{scope}RoleBinding", f"{scope.lower()}rolebindings")
    name = f"{ACCOUNT}-{account_namespace}"
    api.apply(role, namespace, {"metadata": {"name": name}, "rules": rules})
    body = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": role.kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": account_namespace}],
    }
    api.apply(binding, namespace, body)
