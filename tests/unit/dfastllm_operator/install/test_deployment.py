"""The operator's own pod: restricted, probed, and not mistaken for one of its services'."""

import pytest

from dfastllm_operator import names
from dfastllm_operator.app import LAST_RESORT_S
from dfastllm_operator.install import deployment, network
from dfastllm_operator.install.identity import LABELS, SERVER_IMAGE
from dfastllm_operator.settings import PREFIX, Settings, load

TEMPLATE = deployment.deployment()["spec"]["template"]
POD = TEMPLATE["spec"]
(CONTAINER,) = POD["containers"]


def test_the_pod_is_restricted_as_its_namespace_demands() -> None:
    labels = deployment.namespace()["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert POD["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "volumes" not in POD
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(POD)


def test_the_user_is_the_images_or_openshifts_choice() -> None:
    assert "runAsUser" not in {**POD["securityContext"], **CONTAINER["securityContext"]}


def test_its_variables_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {one["name"]: one["value"] for one in CONTAINER["env"] if "value" in one}
    assert all(name.startswith(PREFIX) for name in given)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert load().server_image == SERVER_IMAGE


def test_it_may_take_its_time_to_leave() -> None:
    longest_s = Settings().shutdown_s + LAST_RESORT_S
    assert POD["terminationGracePeriodSeconds"] > longest_s


def test_probes_and_metrics_go_where_it_listens() -> None:
    assert CONTAINER["ports"] == [
        {"name": "http", "containerPort": Settings().health_port, "protocol": "TCP"}
    ]
    assert CONTAINER["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert CONTAINER["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    (port,) = network.metrics_service()["spec"]["ports"]
    assert port["targetPort"] == "http"
    (endpoint,) = network.pod_monitor()["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "http"


def test_liveness_is_more_patient_than_a_start_takes() -> None:
    probe = CONTAINER["livenessProbe"]
    assert probe["periodSeconds"] * (probe["failureThreshold"] - 1) >= 30


def test_what_selects_the_pods_is_on_them_and_on_no_service_of_ours() -> None:
    selectors = [
        deployment.deployment()["spec"]["selector"]["matchLabels"],
        network.metrics_service()["spec"]["selector"],
        network.pod_monitor()["spec"]["selector"]["matchLabels"],
        network.network_policy()["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= TEMPLATE["metadata"]["labels"].items()
        assert not selector.items() <= names.labels("any").items()


def test_the_operator_does_not_take_its_own_objects_for_children() -> None:
    key, _, value = names.SELECTOR.partition("=")
    assert LABELS.get(key) != value
