"""A cluster that lacks what a service needs says what to install, and goes on once it is there."""

from collections.abc import Iterator

import pytest

from cluster.rig import Options, Rig, running
from dfastllm_operator.kinds import POD_MONITOR, SCALED_OBJECT
from support.kubeapi import Json
from support.operators import GATEWAY, Stage, staged
from support.process import until

WISHES: Json = {
    "ingress": {"gateway": GATEWAY},
    "replicas": {"min": 1, "max": 3},
    "autoscaling": {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}},
    "monitoring": {"enabled": True},
}


@pytest.fixture(scope="module")
def bare() -> Iterator[Rig]:
    """Kubernetes and nothing else, to begin with."""
    with running(Options(crds=(), kserve=False, gateway=False)) as rig:
        yield rig


@pytest.fixture
def stage(bare: Rig) -> Iterator[Stage]:
    with staged(bare) as stage:
        yield stage


def test_each_missing_kind_is_named_and_taken_up_when_it_comes(bare: Rig, stage: Stage) -> None:
    services, operator = stage.services, stage.operator
    services.create(**WISHES)
    services.wait("ConfigReady", "True", "Valid")
    assert "install KServe" in services.wait("ModelReady", "False", "KServeMissing")["message"]
    route = services.wait("RouteReady", "False", "GatewayAPIMissing")
    assert "install the Gateway API" in route["message"]
    scaler = services.wait("ScalerReady", "False", "KEDAMissing")
    assert "install KEDA" in scaler["message"]

    bare.install_crds("kserve")
    bare.start_kserve(gateway_api=False)
    services.wait("ModelReady", "True", "Loaded")

    bare.install_crds("gateway-api")
    bare.start_gateway()
    services.wait("RouteReady", "True", "Accepted")

    bare.install_crds("keda")
    until(lambda: services.child(SCALED_OBJECT, "demo"), "a ScaledObject")
    services.wait("Degraded", "True", "MonitoringMissing")

    bare.install_crds("prometheus-operator")
    until(lambda: services.child(POD_MONITOR, "demo"), "a PodMonitor")
    services.wait("Ready", "True", "Serving")
    services.wait("Degraded", "False")
    assert operator.running
    assert operator is stage.operator
