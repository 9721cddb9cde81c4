"""A DFastLLMService becomes a running service, and follows what its user does to it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cluster.kubectl import KubectlFailed
from cluster.nodes import Node
from cluster.rig import Rig
from dfastllm_operator import names
from dfastllm_operator.kinds import (
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD,
    POD_MONITOR,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_RESOURCE,
    SERVING_RUNTIME,
    Kind,
)
from dfastllm_operator.resources.runtime import OPERATOR_NAME
from support.operators import Stage, staged
from support.process import until
from support.services import Services, condition

GPU_MODEL = {"uri": "hf://someone/llada-8b", "size": {"parameters": "8B", "layers": 32}}
QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
KEDA = {"serverAddress": "http://prometheus:9090"}


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


@pytest.fixture
def services(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Services]:
    """Those of a test, all gone afterwards so that the next one waits for nothing."""
    before = {body["metadata"]["name"] for body in stage.services.every()}
    yield stage.services
    for body in stage.services.every():
        if body["metadata"]["name"] not in before:
            stage.services.delete(body["metadata"]["name"])


def _kubectl(stage: Stage, *args: str) -> str:
    return stage.rig.kubectl(*args, "-n", stage.namespace)


def test_the_smallest_service_becomes_ready(stage: Stage, services: Services) -> None:
    services.create("small")
    _kubectl(stage, "wait", "--for=condition=Ready", "--timeout=60s", "dfs/small")
    body = services.ready("small")
    revision = body["status"]["revision"]
    assert services.names_owned("small") == {
        ("ControllerRevision", f"small-{revision}"),
        ("ConfigMap", f"small-{revision}"),
        ("ServiceAccount", "small"),
        ("InferenceService", "small-a"),
        ("Service", "small"),
        ("HTTPRoute", "small"),
    }
    status = body["status"]
    assert (status["phase"], status["replicas"], status["readyReplicas"]) == ("Ready", 1, 1)
    assert status["url"] == f"http://small-{stage.namespace}.example.com"
    assert status["address"]["url"] == f"http://small.{stage.namespace}.svc.cluster.local"
    (line,) = _kubectl(stage, "get", "dfs", "small", "--no-headers").splitlines()
    assert "Ready" in line


def test_the_gateway_serves_the_hostname(stage: Stage, services: Services) -> None:
    services.create("routed", ingress={"hostname": "chat.example.org"})
    services.ready("routed")

    def known() -> bool:
        """No pod is behind it: whatever is answered, it must not be traefik's own 404."""
        url, headers = f"http://{stage.rig.gateway_address}/", {"Host": "chat.example.org"}
        try:
            return httpx.get(url, headers=headers, timeout=1).text != "404 page not found\n"
        except httpx.TimeoutException:
            return True  # it looks for the pod

    until(known, "a route through the gateway")


def test_kubectl_scale_adds_pods_and_restarts_none(stage: Stage, services: Services) -> None:
    services.create("scaled")
    services.ready("scaled")
    first = services.pod_uids("scaled")
    _kubectl(stage, "scale", "dfs/scaled", "--replicas=3")
    services.ready("scaled")
    assert first < services.pod_uids("scaled")
    assert services.get("scaled")["status"]["readyReplicas"] == 3
    assert services.child(DISRUPTION_BUDGET, "scaled") is not None
    _kubectl(stage, "scale", "dfs/scaled", "--replicas=0")
    until(lambda: not services.pods("scaled"), "no pods")
    services.wait("ModelReady", "False", "ScaledToZero", "scaled")
    assert services.get("scaled")["status"]["phase"] == "Stopped"


def test_a_paused_service_is_left_alone_until_it_goes_on(stage: Stage, services: Services) -> None:
    services.create("resting")
    services.ready("resting")
    revision = services.get("resting")["status"]["revision"]
    services.edit("resting", paused=True)
    services.wait("Progressing", "False", "Paused", "resting")
    services.api.delete(SERVICE, stage.namespace, "resting")
    services.edit("resting", env=[{"name": "LATER", "value": "1"}])
    services.wait("Progressing", "False", "Paused", "resting")
    services.create("other")  # proves that the operator has looked meanwhile
    services.ready("other")
    assert services.child(SERVICE, "resting") is None
    assert services.get("resting")["status"]["phase"] == "Paused"
    assert services.get("resting")["status"]["revision"] == revision
    services.edit("resting", paused=None)
    assert services.settled("resting")["status"]["revision"] != revision
    assert services.child(SERVICE, "resting") is not None


def test_a_deleted_service_leaves_nothing(stage: Stage, services: Services) -> None:
    services.create("leaving", monitoring={"enabled": True}, networkPolicy={"enabled": True})
    services.ready("leaving")
    owned = list(services.owned("leaving"))
    services.delete("leaving")
    until(lambda: not services.remains(owned), "children collected")
    until(lambda: services.child(DEPLOYMENT, "leaving-a-predictor") is None)
    until(lambda: not services.pods("leaving"), "pods collected")


def test_a_service_is_deleted_without_kserve(stage: Stage, services: Services) -> None:
    services.create("orphan")
    services.ready("orphan")
    owned = [
        (kind, body) for kind, body in services.owned("orphan") if kind is not INFERENCE_SERVICE
    ]
    manager = stage.rig.processes["kserve-manager"]
    manager.stop()
    try:
        services.delete("orphan")
        until(lambda: not services.has("orphan"), "gone")
        until(lambda: not services.remains(owned), "children collected")
    finally:
        manager.start()
        manager.wait_ready()
    until(lambda: services.child(INFERENCE_SERVICE, "orphan-a") is None, "KServe's finalizer")


def test_a_gpu_that_no_node_has_is_named(services: Services) -> None:
    shared = {"gpu": {"count": 1, "resourceName": "nvidia.com/gpu.shared"}}
    services.create("hungry", model=GPU_MODEL, resources=shared)
    found = services.wait("ModelReady", "False", "GPUUnavailable", "hungry")
    assert "nvidia.com/gpu.shared" in found["message"]
    assert condition(services.get("hungry"), "Ready")["reason"] == "GPUUnavailable"
    services.edit("hungry", resources={"gpu": {"resourceName": "nvidia.com/gpu"}})
    assert services.ready("hungry")["status"]["gpu"].startswith("1")


def test_a_missing_secret_is_named_and_waited_for(stage: Stage, services: Services) -> None:
    services.create("keyed", auth={"apiKeysSecretRef": {"name": "keys"}})
    found = services.wait("ConfigReady", "False", "SecretNotFound", "keyed")
    assert "auth.apiKeysSecretRef" in found["message"]
    assert "'keys'" in found["message"]
    assert services.names_owned("keyed") == set()
    secret = {"metadata": {"name": "keys"}, "stringData": {"alice": "token"}}
    services.api.create(SECRET, stage.namespace, secret)
    services.ready("keyed")


def test_an_unknown_size_says_which_field_to_set(services: Services) -> None:
    services.create("unsized", model={"uri": "hf://someone/unknown"})
    found = services.wait("ConfigReady", "False", "SizeUnknown", "unsized")
    assert "model.size" in found["message"]
    services.edit("unsized", model={"size": {"parameters": "135M"}})
    assert services.ready("unsized")["status"]["sizing"]["parameters"] == "135M"


def test_a_bad_spec_leaves_the_last_good_one_serving(services: Services) -> None:
    services.create("solid", replicas={"min": 2})
    services.ready("solid")
    pods, serving = services.pod_uids("solid"), services.inference_service("solid")["spec"]
    services.edit("solid", auth={"apiKeysSecretRef": {"name": "nowhere"}})
    services.wait("ConfigReady", "False", "SecretNotFound", "solid")
    services.wait("Ready", "True", "", "solid")
    services.wait("Degraded", "True", "UpdateBlocked", "solid")
    assert services.inference_service("solid")["spec"] == serving
    assert services.pod_uids("solid") == pods
    services.edit("solid", replicas={"min": 3})  # what does not depend on it still works
    until(lambda: len(services.pods("solid")) == 3, "a third pod")
    assert pods < services.pod_uids("solid")
    services.edit("solid", auth=None)
    services.ready("solid")
    assert pods < services.pod_uids("solid")


def test_the_api_server_refuses_a_mistake_and_says_what_is_right(
    stage: Stage, services: Services
) -> None:
    services.create("careful")
    patch = '{"spec": {"replicas": {"min": 3, "max": 2}}}'
    with pytest.raises(KubectlFailed, match=r"replicas\.min must not exceed replicas\.max"):
        _kubectl(stage, "patch", "dfs/careful", "--type=merge", "-p", patch)
    services.ready("careful")


def test_long_names_are_shortened_and_never_meet(services: Services) -> None:
    first, second = "a" + "-very" * 20 + "-long-name.one", "a" + "-very" * 20 + "-long-name.two"
    for name in (first, second):
        services.create(name)
    for name in (first, second):
        services.ready(name)
    owned = [services.names_owned(name) for name in (first, second)]
    assert not owned[0] & owned[1]
    assert all(len(name) <= names.LONGEST_LABEL for _, name in owned[0] | owned[1])
    urls = {services.get(name)["status"]["url"] for name in (first, second)}
    assert len(urls) == 2


def test_of_two_services_with_one_hostname_the_older_has_it(services: Services) -> None:
    services.create("elder", ingress={"hostname": "one.example.org"})
    services.ready("elder")
    services.create("younger", ingress={"hostname": "one.example.org"})
    found = services.wait("RouteReady", "False", "HostnameTaken", "younger")
    assert "elder" in found["message"]
    services.ready("elder")
    services.delete("elder")
    services.ready("younger")


def test_a_hostname_that_is_taken_leaves_the_present_route(services: Services) -> None:
    services.create("holder", ingress={"hostname": "held.example.org"})
    services.create("mover", ingress={"hostname": "mover.example.org"})
    for name in ("holder", "mover"):
        services.ready(name)
    services.edit("mover", ingress={"hostname": "held.example.org"})
    services.wait("RouteReady", "False", "HostnameTaken", "mover")
    route = services.api.get(HTTP_ROUTE, services.namespace, "mover")
    assert route["spec"]["hostnames"] == ["mover.example.org"]
    services.ready("holder")


def test_an_update_that_cannot_start_says_why_and_the_old_pods_serve(services: Services) -> None:
    services.create("stuck")
    services.ready("stuck")
    pods = services.pod_uids("stuck")
    services.edit("stuck", nodeSelector={"there": "is-none"})
    found = services.wait("Progressing", "True", "", "stuck")
    until(lambda: "node" in condition(services.get("stuck"), "Progressing")["message"], "why")
    assert found["status"] == "True"
    assert condition(services.get("stuck"), "Ready")["status"] == "True"
    assert pods <= services.pod_uids("stuck")
    services.edit("stuck", nodeSelector=None)
    services.settled("stuck")
    assert services.pod_uids("stuck") == pods


def test_a_quota_that_is_used_up_is_named(stage: Stage, services: Services) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    services.api.create(QUOTA, stage.namespace, quota)
    try:
        until(lambda: "hard" in services.api.get(QUOTA, stage.namespace, "none").get("status", {}))
        services.create("poor")
        found = services.wait("ModelReady", "False", "QuotaExceeded", "poor")
        assert "pods" in found["message"]
    finally:
        services.api.delete(QUOTA, stage.namespace, "none")


def test_a_node_that_is_lost_is_noticed_and_another_taken(stage: Stage, services: Services) -> None:
    pool = {"pool": stage.namespace}
    stage.rig.add_node(Node("lost-0", labels=pool))
    services.create("moved", nodeSelector=pool)
    services.ready("moved")
    stage.rig.kubectl("taint", "node", "lost-0", "lost=yes:NoExecute")
    found = services.wait("ModelReady", "False", "Unschedulable", "moved")
    assert "untolerated taint" in found["message"]
    stage.rig.add_node(Node("lost-1", labels=pool))
    services.ready("moved")
    services.delete("moved")
    until(lambda: not services.pods("moved"), "no pods")
    for name in ("lost-0", "lost-1"):
        stage.rig.remove_node(name)


def test_kserve_that_does_not_answer_is_named_and_waited_for(
    stage: Stage, services: Services
) -> None:
    manager = stage.rig.processes["kserve-manager"]
    manager.stop()
    try:
        services.create("early", monitoring={"enabled": True})
        found = services.wait("ModelReady", "False", "", "early")
        assert "webhook" in found["message"]
        assert services.child(POD_MONITOR, "early") is not None
    finally:
        manager.start()
        manager.wait_ready()
    services.ready("early")


def test_a_runtime_that_is_missing_is_named_and_taken_up(stage: Stage, services: Services) -> None:
    runtime = services.api.get(SERVING_RUNTIME, stage.namespace, OPERATOR_NAME)
    services.api.delete(SERVING_RUNTIME, stage.namespace, OPERATOR_NAME)
    services.create("unrun", model=GPU_MODEL)
    services.wait("ModelReady", "False", "RuntimeNotFound", "unrun")
    body = {"metadata": {"name": OPERATOR_NAME}, "spec": runtime["spec"]}
    services.api.create(SERVING_RUNTIME, stage.namespace, body)
    services.ready("unrun")


def test_a_service_of_a_hundred_kilobytes_works(services: Services) -> None:
    env = [{"name": f"LONG_{number}", "value": "x" * 1600} for number in range(64)]
    services.create("large", env=env)
    services.ready("large")
    (pod,) = services.pods("large")
    assert sum(len(one.get("value", "")) for one in pod["spec"]["containers"][0]["env"]) > 100_000


def test_what_an_orphaning_deletion_left_is_taken_back(stage: Stage, services: Services) -> None:
    _orphan_and_return(stage, services, "returning")


def test_an_orphaning_deletion_that_is_heard_of_late_loses_nothing(
    stage: Stage, services: Services
) -> None:
    """Children that lost their owner are not given to one that is on its way out."""
    stage.proxy.silence_watches(SERVICE_RESOURCE.plural)
    _orphan_and_return(stage, services, "unheard")


def _orphan_and_return(stage: Stage, services: Services, name: str) -> None:
    services.create(name)
    before = services.settled(name)
    pods = services.pod_uids(name)
    owned = list(services.owned(name))
    _kubectl(stage, "delete", f"dfs/{name}", "--cascade=orphan")
    services.create(name)
    services.come_to(before, name)
    assert len(services.remains(owned)) == len(owned)
    assert services.pod_uids(name) == pods


def test_every_transition_is_told_once(services: Services) -> None:
    services.create("talking")
    services.ready("talking")
    services.edit("talking", auth={"apiKeysSecretRef": {"name": "nowhere"}})
    services.wait("ConfigReady", "False", "SecretNotFound", "talking")
    services.edit("talking", auth=None)
    services.ready("talking")
    events = services.events("talking")
    told = [(e["type"], e["reason"], e["message"].partition(":")[0]) for e in events]
    assert told.count(("Normal", "Serving", "Ready")) == 1
    assert told.count(("Warning", "SecretNotFound", "ConfigReady")) == 1
    assert told.count(("Normal", "Valid", "ConfigReady")) == 1
    assert all(event["count"] == 1 for event in events)


def test_scalers_replace_one_another_and_own_the_replicas(stage: Stage, services: Services) -> None:
    services.create("elastic", replicas={"min": 1, "max": 3}, autoscaling={"type": "hpa"})
    found = services.wait("ScalerReady", "False", "MetricsAPIMissing", "elastic")
    assert "custom.metrics.k8s.io" in found["message"]
    hpa = services.api.get(HPA, stage.namespace, "elastic")
    assert hpa["spec"]["scaleTargetRef"]["name"] == "elastic-a-predictor"
    services.edit("elastic", autoscaling={"type": "keda", "keda": KEDA})
    until(lambda: services.child(SCALED_OBJECT, "elastic"), "a ScaledObject")
    until(lambda: services.child(HPA, "elastic") is None, "no HorizontalPodAutoscaler")
    services.edit("elastic", autoscaling={"type": "external", "keda": None}, replicas={"max": None})
    until(lambda: services.child(SCALED_OBJECT, "elastic") is None, "no ScaledObject")
    services.ready("elastic")
    services.api.merge(
        DEPLOYMENT, stage.namespace, "elastic-a-predictor", {"spec": {"replicas": 3}}
    )
    until(lambda: services.get("elastic")["status"].get("readyReplicas") == 3, "three replicas")
    services.edit("elastic", ingress={"timeout": "5m"}, env=[{"name": "A", "value": "b"}])
    services.settled("elastic")
    assert services.deployment("elastic")["spec"]["replicas"] == 3


def test_a_failing_pod_is_explained(stage: Stage, services: Services) -> None:
    services.create("broken")
    services.ready("broken")
    (pod,) = services.pods("broken")
    (container,) = pod["status"]["containerStatuses"]
    killed = {"exitCode": 137, "reason": "OOMKilled", "startedAt": None, "finishedAt": None}
    status = {**container, "ready": False, "state": {"terminated": killed}, "started": False}
    conditions = [
        {**c, "status": "False"} if c["type"] in ("Ready", "ContainersReady") else c
        for c in pod["status"]["conditions"]
    ]
    services.api.merge(
        POD,
        stage.namespace,
        pod["metadata"]["name"],
        {"status": {"containerStatuses": [status], "conditions": conditions}},
        "status",
    )
    found = services.wait("ModelReady", "False", "OutOfMemory", "broken")
    assert "resources.limits.memory" in found["message"]


def test_an_account_of_the_users_own_replaces_ours(stage: Stage, services: Services) -> None:
    services.create("accounted")
    services.ready("accounted")
    services.edit("accounted", serviceAccountName="default")
    services.settled("accounted")
    assert services.child(SERVICE_ACCOUNT, "accounted") is None
    (pod,) = services.pods("accounted")
    assert pod["spec"]["serviceAccountName"] == "default"


def test_metrics_count_services_by_phase(stage: Stage, services: Services) -> None:
    services.create("counted")
    services.ready("counted")
    found: Any = stage.operator.metrics()
    assert 'dfastllm_operator_services{phase="Ready"}' in found
