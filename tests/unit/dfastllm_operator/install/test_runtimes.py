"""Where the serving runtimes go."""

import json

from dfastllm_operator.install import runtimes
from dfastllm_operator.install.identity import SERVER_IMAGE
from dfastllm_operator.resources.runtime import OPERATOR_NAME, PUBLIC_NAME
from dfastllm_operator.settings import Settings


def test_the_operator_refers_to_a_runtime_that_is_installed() -> None:
    assert Settings().runtime == OPERATOR_NAME
    assert set(runtimes.by_name()) == {OPERATOR_NAME, PUBLIC_NAME}


def test_a_namespace_gets_what_the_cluster_gets() -> None:
    for name, wide in runtimes.by_name().items():
        narrow = runtimes.by_name("team")[name]
        assert (wide["kind"], narrow["kind"]) == ("ClusterServingRuntime", "ServingRuntime")
        assert narrow["metadata"].pop("namespace") == "team"
        assert {**narrow, "kind": wide["kind"]} == wide


def test_the_runtime_for_people_runs_the_servers_image() -> None:
    images = [
        container.get("image")
        for runtime in runtimes.by_name().values()
        for container in runtime["spec"]["containers"]
    ]
    assert sorted(images, key=str) == [None, SERVER_IMAGE]


def test_openshifts_dashboard_offers_a_runtime_that_fits_any_project() -> None:
    template = runtimes.openshift_template()
    (runtime,) = template["objects"]
    assert runtime["kind"] == "ServingRuntime"
    assert "namespace" not in runtime["metadata"]
    assert runtime["metadata"]["labels"]["opendatahub.io/dashboard"] == "true"
    notes = template["metadata"]["annotations"]
    assert json.loads(notes["opendatahub.io/modelServingSupport"]) == ["single"]
    assert notes["opendatahub.io/apiProtocol"] == "REST"
