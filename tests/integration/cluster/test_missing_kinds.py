"""A cluster that lacks what a service needs says what to install, and goes on once it is there.

Each test takes away nothing that another one has brought; what they need they bring themselves.
"""

from collections.abc import Iterator

import pytest

from cluster.rig import Options, Rig, running
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD_MONITOR,
    SCALED_OBJECT,
    SERVICE,
)
from support.installed import CRD
from support.operators import GATEWAY, Stage, staged
from support.pod_meter import POD_METRICS, pod_metrics, usage
from support.process import until
from support.services import Services, condition

ELASTIC = {"min": 1, "max": 3}
KEDA = {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}}
READY = {"type": "Ready", "status": "True", "reason": "ScaledObjectReady", "message": "ready"}


@pytest.fixture(scope="module")
def bare() -> Iterator[Rig]:
    """Kubernetes and nothing else, to begin with."""
    with running(Options(crds=(), kserve=False, gateway=False)) as rig:
        yield rig


@pytest.fixture(scope="module")
def stage(bare: Rig) -> Iterator[Stage]:
    """With one operator, which sees everything come, and leaves routes to KServe unless told."""
    with staged(bare, start=False) as stage:
        stage.start(gateway="")
        yield stage
        assert len(stage.operators) == 1


@pytest.fixture(scope="module")
def kserve(bare: Rig) -> None:
    bare.install_crds("kserve")
    bare.start_kserve(gateway_api=False)


@pytest.fixture
def services(stage: Stage) -> Services:
    return stage.services


def test_without_kserve_a_service_waits_with_all_else_in_place(
    services: Services, request: pytest.FixtureRequest
) -> None:
    services.create("early")
    assert (
        "install KServe"
        in services.wait("ModelReady", "False", "KServeMissing", "early")["message"]
    )
    services.wait("Ready", "False", "KServeMissing", "early")
    services.wait("ConfigReady", "True", "", "early")
    services.wait("Progressing", "False", "Blocked", "early")
    assert services.child(SERVICE, "early") is not None
    assert services.api.list(CONFIG_MAP, services.namespace, "dfastllm.io/service=early")

    request.getfixturevalue("kserve")
    services.ready("early")
    assert services.child(INFERENCE_SERVICE, "early-a") is not None


def test_a_service_that_names_a_gateway_waits_for_the_gateway_api(
    bare: Rig, services: Services, kserve: None
) -> None:
    services.create("routed", ingress={"gateway": GATEWAY, "hostname": "chat.example.org"})
    found = services.wait("RouteReady", "False", "GatewayAPIMissing", "routed")
    assert "install the Gateway API" in found["message"]
    assert GATEWAY in found["message"]
    services.wait("ModelReady", "True", "", "routed")
    services.wait("Ready", "False", "GatewayAPIMissing", "routed")

    bare.install_crds("gateway-api")
    until(lambda: services.child(HTTP_ROUTE, "routed"), "a route")
    services.wait("RouteReady", "False", "RoutePending", "routed")
    bare.start_gateway()
    body = services.ready("routed")
    assert condition(body, "RouteReady")["reason"] == "Accepted"
    assert body["status"]["url"] == "http://chat.example.org"


def test_keda_may_come_and_go(bare: Rig, services: Services) -> None:
    services.create("elastic", replicas=ELASTIC, autoscaling=KEDA)
    found = services.wait("ScalerReady", "False", "KEDAMissing", "elastic")
    assert "install KEDA" in found["message"]

    bare.install_crds("keda")
    until(lambda: services.child(SCALED_OBJECT, "elastic"), "a ScaledObject")
    services.wait("ScalerReady", "Unknown", "ScalerPending", "elastic")
    _report(services, "elastic")
    services.wait("ScalerReady", "True", "Scaling", "elastic")

    services.api.delete(CRD, "", f"{SCALED_OBJECT.plural}.{SCALED_OBJECT.group}")
    services.wait("ScalerReady", "False", "KEDAMissing", "elastic")
    bare.install_crds("keda")
    until(lambda: services.child(SCALED_OBJECT, "elastic"), "a ScaledObject again")
    _report(services, "elastic")
    services.wait("ScalerReady", "True", "Scaling", "elastic")


def _report(services: Services, name: str) -> None:
    """What KEDA's operator would, which does not run here."""
    status = {"status": {"conditions": [READY]}}
    services.api.merge(SCALED_OBJECT, services.namespace, name, status, "status")


def test_monitoring_waits_for_the_prometheus_operator(
    bare: Rig, services: Services, kserve: None
) -> None:
    services.create("watched", ingress={"enabled": False}, monitoring={"enabled": True})
    found = services.wait("Degraded", "True", "MonitoringMissing", "watched")
    assert "install the Prometheus operator" in found["message"]
    services.wait("Ready", "True", "", "watched")

    bare.install_crds("prometheus-operator")
    services.ready("watched")
    assert services.child(POD_MONITOR, "watched") is not None


def test_a_scaler_waits_for_the_metrics_api_that_its_metric_needs(
    services: Services, kserve: None
) -> None:
    cpu = {"type": "hpa", "metric": "cpu"}
    no_route = {"enabled": False}
    services.create("busy", replicas=ELASTIC, autoscaling=cpu, ingress=no_route)
    services.create("queued", replicas=ELASTIC, autoscaling={"type": "hpa"}, ingress=no_route)
    found = services.wait("ScalerReady", "False", "MetricsAPIMissing", "busy")
    assert "metrics.k8s.io" in found["message"]
    assert "install metrics-server" in found["message"]
    found = services.wait("ScalerReady", "False", "MetricsAPIMissing", "queued")
    assert "custom.metrics.k8s.io" in found["message"]
    services.wait("Ready", "True", "", "busy")

    services.api.apply(CRD, "", pod_metrics())
    until(lambda: services.api.serves(POD_METRICS), "metrics served")
    _measure(services, "busy")
    services.wait("ScalerReady", "True", "Scaling", "busy")
    services.ready("busy")
    hpa = services.api.get(HPA, services.namespace, "busy")
    assert hpa["status"]["currentMetrics"]
    services.wait("ScalerReady", "False", "MetricsAPIMissing", "queued")


def _measure(services: Services, name: str) -> None:
    for pod in services.pods(name):
        services.api.create(POD_METRICS, services.namespace, usage(pod, 100))
