"""Which file holds what: the generated part of `manifests/` and of `charts/dfastllm/`.

Everything else there is written by hand: kustomizations, overlays, samples, templates and values.
"""

from pathlib import Path

from dfastllm_operator import rbac
from dfastllm_operator.api import crd
from dfastllm_operator.install import deployment, network, roles, runtimes
from dfastllm_operator.install.documents import document, role_document, rules_file
from dfastllm_operator.install.identity import NAMESPACE
from dfastllm_operator.install.values_table import page
from dfastllm_operator.resources.runtime import OPERATOR_NAME, PUBLIC_NAME

CHART = "charts/dfastllm"
NAMESPACED = "manifests/overlays/namespaced"
NOTES = {
    PUBLIC_NAME: "for InferenceServices that people write",
    OPERATOR_NAME: "for the operator's own, which say the rest themselves",
}


def generated(root: Path) -> dict[str, str]:
    """Contents by path below `root`, which is asked only for what the chart's page describes."""
    return {
        **_manifests(),
        **_namespaced(),
        **_chart(),
        f"{CHART}/README.md": page(root / CHART),
    }


def _manifests() -> dict[str, str]:
    return {
        "manifests/crd/dfastllmservices.yaml": crd.text(),
        "manifests/rbac/service-account.yaml": document(
            roles.service_account(), "Who the operator is."
        ),
        "manifests/rbac/cluster-role.yaml": role_document(
            roles.cluster_role(), "What the operator may do in every namespace.", rbac.SERVICES
        ),
        "manifests/rbac/cluster-role-binding.yaml": document(
            roles.cluster_role_binding(), "The operator may do it."
        ),
        "manifests/rbac/leader-role.yaml": role_document(
            roles.leader_role(), "What its replicas settle among themselves.", rbac.LEADERSHIP
        ),
        "manifests/rbac/leader-role-binding.yaml": document(
            roles.leader_role_binding(), "The operator may do it."
        ),
        "manifests/rbac/view-role.yaml": role_document(
            roles.view_role(), "Whoever may view a namespace sees its services.", rbac.VIEWERS
        ),
        "manifests/rbac/edit-role.yaml": role_document(
            roles.edit_role(), "Whoever may edit a namespace asks for services.", rbac.EDITORS
        ),
        **_runtimes("manifests/runtime"),
        "manifests/runtime/openshift-template.yaml": document(
            runtimes.openshift_template(),
            "For OpenShift AI: puts the runtime into its dashboard. Apply it to the namespace of "
            "the\n# dashboard's applications; no kustomization refers to it.",
        ),
        "manifests/operator/namespace.yaml": document(
            deployment.namespace(), "Where the operator runs."
        ),
        "manifests/operator/deployment.yaml": document(deployment.deployment(), "The operator."),
        "manifests/operator/metrics-service.yaml": document(
            network.metrics_service(), "Where its metrics are read."
        ),
        "manifests/components/monitoring/pod-monitor.yaml": document(
            network.pod_monitor(), "Has the Prometheus operator scrape the operator."
        ),
        "manifests/components/network-policy/network-policy.yaml": document(
            network.network_policy(), "Who may connect to the operator: scrapers of its metrics."
        ),
    }


def _namespaced() -> dict[str, str]:
    """The kustomization there puts them into the namespace it names."""
    return {
        f"{NAMESPACED}/role.yaml": role_document(
            roles.role(NAMESPACE), "What the operator may do in its namespace.", rbac.SERVICES
        ),
        f"{NAMESPACED}/role-binding.yaml": document(
            roles.role_binding(NAMESPACE), "The operator may do it."
        ),
        **_runtimes(NAMESPACED, NAMESPACE, prefix="runtime-"),
    }


def _runtimes(folder: str, namespace: str | None = None, prefix: str = "") -> dict[str, str]:
    return {
        f"{folder}/{prefix}{name}.yaml": document(
            body, f"How KServe runs the server: {NOTES[name]}."
        )
        for name, body in runtimes.by_name(namespace).items()
    }


def _chart() -> dict[str, str]:
    """What the templates include instead of saying it again."""
    return {
        f"{CHART}/files/crd.yaml": crd.text(),
        f"{CHART}/files/rules.yaml": rules_file(
            rbac.SERVICES, "In each namespace whose services are looked after."
        ),
        f"{CHART}/files/leader-rules.yaml": rules_file(
            rbac.LEADERSHIP, "In the operator's own namespace."
        ),
        f"{CHART}/files/view-rules.yaml": rules_file(rbac.VIEWERS, "For people who look."),
        f"{CHART}/files/edit-rules.yaml": rules_file(rbac.EDITORS, "For people who ask."),
        **_runtimes(f"{CHART}/files/runtimes"),
    }
