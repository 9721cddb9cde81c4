"""A deleted service leaves nothing: no pods, no routes, none of the kinds that were made for it."""

import pytest

from dfastllm_operator import names
from e2e.report import Story
from e2e.services import SMALL, Services, selector

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
KINDS = (
    "dfs", "inferenceservices", "deployments", "replicasets", "pods", "services", "httproutes",
    "configmaps", "controllerrevisions", "serviceaccounts", "poddisruptionbudgets",
    "networkpolicies", "horizontalpodautoscalers",
)  # fmt: skip
OF_KSERVE = "serving.kserve.io/inferenceservice"
MADE = {
    "inferenceservices", "deployments", "pods", "services", "httproutes", "configmaps",
    "controllerrevisions", "serviceaccounts", "networkpolicies",
}  # fmt: skip


def found(services: Services) -> set[tuple[str, str]]:
    """What there is of the service, by our label or by KServe's, as kind and name."""
    label = f"{OF_KSERVE}={names.inference_service('tiny', services.namespace, 'a')}"
    return {
        (kind, body["metadata"]["name"])
        for kind in KINDS
        for chosen in (selector("tiny"), label)
        for body in services.objects(kind, f"--selector={chosen}")
    } | {("dfs", body["metadata"]["name"]) for body in services.objects("dfs")}


def test_a_deleted_service_is_gone_with_its_routes(services: Services, story: Story) -> None:
    services.put("tiny", networkPolicy={"enabled": True}, **SMALL)
    services.ready("tiny")
    endpoint = services.endpoint("tiny")
    assert {kind for kind, _ in found(services)} >= MADE

    services.delete("tiny")
    services.until(lambda: not found(services), "all of it is gone", "tiny")
    with endpoint.http() as client:
        assert client.get("/health").status_code == 404  # the gateway knows no such host
