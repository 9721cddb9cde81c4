"""Objects that a spec may do without: scalers, budget, policy, monitor, account; and summaries."""

import pytest

from dfastllm_operator.core import Json
from dfastllm_operator.kinds import (
    DISRUPTION_BUDGET,
    HPA,
    NETWORK_POLICY,
    POD_MONITOR,
    SCALED_OBJECT,
    SERVICE_ACCOUNT,
)
from dfastllm_operator.resources.summary import gpu_text
from support.rendered import a_platform, a_service, body_of, children_of, revision_of

TINY = {"model": {"uri": "builtin://tiny"}}
KEDA = {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}}


def kinds_of(spec: Json) -> set[str]:
    return {child.kind.kind for child in children_of(a_service(spec))}


def test_a_small_service_has_nothing_it_did_not_ask_for() -> None:
    assert kinds_of(TINY) == {
        "ControllerRevision",
        "ConfigMap",
        "ServiceAccount",
        "InferenceService",
        "Service",
    }


@pytest.mark.parametrize(("replicas", "expected"), [(0, False), (1, False), (2, True)])
def test_a_budget_needs_two_replicas(replicas: int, expected: bool) -> None:
    found = kinds_of({**TINY, "replicas": {"min": replicas}})
    assert (DISRUPTION_BUDGET.kind in found) == expected


@pytest.mark.parametrize(
    ("metric", "kind"), [("cpu", "Resource"), ("waiting", "Pods"), ("running", "Pods")]
)
def test_an_hpa_asks_the_api_that_has_the_metric(metric: str, kind: str) -> None:
    scaling = {"type": "hpa", "metric": metric}
    spec = {**TINY, "replicas": {"max": 3}, "autoscaling": scaling}
    hpa = body_of(children_of(a_service(spec)), HPA)["spec"]
    assert [m["type"] for m in hpa["metrics"]] == [kind]
    assert hpa["scaleTargetRef"]["name"] == "chat-a-predictor"
    assert hpa["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 600


def test_keda_falls_back_to_the_least_replicas_unless_told() -> None:
    spec = {**TINY, "replicas": {"min": 2, "max": 3}, "autoscaling": KEDA}
    scaled = body_of(children_of(a_service(spec)), SCALED_OBJECT)["spec"]
    assert scaled["fallback"] == {"failureThreshold": 3, "replicas": 2}
    (trigger,) = scaled["triggers"]
    assert trigger["metadata"]["query"] == (
        'sum(dfastllm_requests_waiting{namespace="team",pod=~"chat-a-predictor-.+"})'
    )


def test_keda_by_cpu_asks_no_prometheus_and_has_no_fallback() -> None:
    spec = {**TINY, "replicas": {"min": 1, "max": 3}, "autoscaling": {**KEDA, "metric": "cpu"}}
    scaled = body_of(children_of(a_service(spec)), SCALED_OBJECT)["spec"]
    assert "fallback" not in scaled
    assert [t["type"] for t in scaled["triggers"]] == ["cpu"]


def test_a_policy_without_sources_lets_in_the_namespace_and_the_gateway() -> None:
    service = a_service({**TINY, "networkPolicy": {"enabled": True}})
    policy = body_of(children_of(service, a_platform(gateway="infra/public")), NETWORK_POLICY)
    assert policy["spec"]["ingress"][0]["from"] == [
        {"podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "infra"}}},
    ]
    alone = body_of(children_of(service), NETWORK_POLICY)
    assert alone["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]


def test_labels_of_a_monitor_are_added_to_ours() -> None:
    labels = {"release": "prom", "app.kubernetes.io/managed-by": "me"}
    spec = {**TINY, "monitoring": {"enabled": True, "labels": labels}}
    monitor = body_of(children_of(a_service(spec)), POD_MONITOR)
    assert monitor["metadata"]["labels"]["release"] == "prom"
    assert monitor["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "dfastllm-operator"


def test_the_users_account_is_used_and_none_is_made() -> None:
    assert SERVICE_ACCOUNT.kind not in kinds_of({**TINY, "serviceAccountName": "mine"})


def test_credentials_are_found_by_annotation_and_by_account() -> None:
    spec = {
        "model": {
            "uri": "s3://bucket/x",
            "size": {"parameters": "1B"},
            "storageSecretRef": {"name": "s3-reader"},
        }
    }
    account = body_of(children_of(a_service(spec)), SERVICE_ACCOUNT)
    assert account["secrets"] == [{"name": "s3-reader"}]


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({"gpu": {"count": 0}}, "none"),
        ({}, "1x nvidia.com/gpu"),
        ({"gpu": {"count": 1, "product": "NVIDIA-L4"}}, "1x NVIDIA-L4"),
    ],
)
def test_gpus_in_a_word(resources: Json, text: str) -> None:
    spec = {
        "model": {"uri": "pvc://c/x", "size": {"parameters": "1B"}},
        "resources": resources,
    }
    assert gpu_text(revision_of(a_service(spec))) == text
    assert gpu_text(None) == ""


def lets_the_operator_in(spec: Json, namespace: str | None) -> bool:
    given = {**TINY, "networkPolicy": {"enabled": True}, **spec}
    policy = body_of(children_of(a_service(given), a_platform(namespace=namespace)), NETWORK_POLICY)
    return "dfastllm-operator" in str(policy["spec"]["ingress"])


def test_only_who_has_to_read_the_metrics_of_a_canary_gets_to_the_pods() -> None:
    canary = {"strategy": "Canary"}
    asked = {"source": "prometheus", "serverAddress": "http://prometheus:9090"}
    assert lets_the_operator_in({"rollout": canary}, "dfastllm-system")
    assert not lets_the_operator_in({}, "dfastllm-system")
    assert not lets_the_operator_in({"rollout": {"strategy": "Recreate"}}, "dfastllm-system")
    assert not lets_the_operator_in({"rollout": {**canary, "analysis": asked}}, "dfastllm-system")
    assert not lets_the_operator_in({"rollout": canary}, None), "it runs outside of the cluster"
