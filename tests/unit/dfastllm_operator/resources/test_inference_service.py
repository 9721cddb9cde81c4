from typing import Any

import pytest

from dfastllm_operator import names
from dfastllm_operator.core import Json
from dfastllm_operator.kinds import INFERENCE_SERVICE
from support.rendered import a_platform, a_service, body_of, children_of

TINY = {"model": {"uri": "builtin://tiny"}}
HUB = {"model": {"uri": "hf://GSAI-ML/LLaDA-8B-Instruct"}}


def isvc_of(spec: Json, **platform: Any) -> Json:
    return body_of(children_of(a_service(spec), a_platform(**platform)), INFERENCE_SERVICE)


def pod_template_of(isvc: Json) -> Json:
    """What KServe 0.20 puts into the pods, for comparing: its own metadata, then the predictor."""
    predictor = dict(isvc["spec"]["predictor"])
    said = {part: predictor.pop(part) for part in ("labels", "annotations")}
    for scaling in ("minReplicas", "timeout"):
        predictor.pop(scaling, None)
    return {
        "labels": {**isvc["metadata"]["labels"], **said["labels"]},
        "annotations": {**isvc["metadata"]["annotations"], **said["annotations"]},
        "spec": predictor,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": {"min": 3}},
        {"replicas": {"min": 0}},
        {"ingress": {"enabled": False}},
        {"ingress": {"gateway": "infra/public", "hostname": "a.example.com", "timeout": "1h"}},
        {"monitoring": {"enabled": True}},
        {"networkPolicy": {"enabled": True}},
    ],
)
def test_what_concerns_no_pod_leaves_the_pod_template_alone(change: Json) -> None:
    assert pod_template_of(isvc_of({**TINY, **change})) == pod_template_of(isvc_of(TINY))


def test_a_gateway_api_that_comes_or_goes_leaves_the_pod_template_alone() -> None:
    one = isvc_of(TINY, gateway="infra/public")
    assert isvc_of(TINY, gateway="infra/public", missing=["HTTPRoute"]) == one
    other = isvc_of(TINY)
    assert one["metadata"]["labels"] != other["metadata"]["labels"]
    assert pod_template_of(one) == pod_template_of(other)


def test_a_runtime_of_another_name_changes_no_field_of_the_pod() -> None:
    model = isvc_of(HUB)["spec"]["predictor"]["model"]
    assert model["runtime"] == "dfastllm-operator"
    assert {"image", "env", "ports", "resources", "startupProbe"} <= set(model)
    assert "name" not in model, "KServe refuses a name here"
    assert "args" not in model, "KServe would append them to the runtime's"


@pytest.mark.parametrize(
    ("scaling", "scaler_class", "replicas"),
    [
        ({"replicas": {"min": 2}}, "none", 2),
        ({"autoscaling": {"type": "external"}}, "external", None),
        ({"replicas": {"min": 2, "max": 4}, "autoscaling": {"type": "hpa"}}, "external", None),
    ],
)
def test_replicas_are_said_only_where_nobody_else_decides(
    scaling: Json, scaler_class: str, replicas: int | None
) -> None:
    isvc = isvc_of({**TINY, **scaling})
    assert isvc["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == scaler_class
    assert isvc["spec"]["predictor"].get("minReplicas") == replicas


def test_every_model_but_the_built_in_has_an_address_for_kserve() -> None:
    for uri in ("hf://a/b", "pvc://claim/x", "s3://b/x", "oci://r/m:1", "https://h/x.tar.gz"):
        spec = {"model": {"uri": uri, "size": {"parameters": "1B"}}}
        assert isvc_of(spec)["spec"]["predictor"]["model"]["storageUri"] == uri
    assert "model" not in isvc_of(TINY)["spec"]["predictor"]


def test_a_revision_of_the_hub_is_spelled_as_kserve_reads_it() -> None:
    spec = {"model": {**HUB["model"], "revision": "08b83a6"}}
    uri = isvc_of(spec)["spec"]["predictor"]["model"]["storageUri"]
    assert uri == "hf://GSAI-ML/LLaDA-8B-Instruct:08b83a6"


def test_no_label_of_the_users_replaces_ours() -> None:
    isvc = isvc_of({**TINY, "podLabels": {"team": "x"}, "podAnnotations": {"note": "y"}})
    predictor = isvc["spec"]["predictor"]
    assert predictor["labels"]["team"] == "x"
    assert predictor["labels"][names.SERVICE_LABEL] == "chat"
    assert (
        predictor["labels"][names.REVISION_LABEL]
        == isvc["metadata"]["labels"][names.REVISION_LABEL]
    )
    assert predictor["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"


def strategy(spec: Json) -> Json:
    found: Json = isvc_of(spec)["spec"]["predictor"]["deploymentStrategy"]
    return found


SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
IN_TURN = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


def test_old_pods_go_first_only_when_asked_for() -> None:
    assert strategy({**TINY, "rollout": {"strategy": "Recreate"}}) == {"type": "Recreate"}
    for rollout in ({"strategy": "RollingUpdate"}, {"strategy": "Canary"}, {}):
        assert strategy({**TINY, "rollout": rollout}) == SURGE
    assert strategy(TINY) == SURGE


def test_an_update_in_place_takes_no_gpu_that_it_may_not_have() -> None:
    two = {**HUB, "resources": {"gpu": {"count": 1}}, "replicas": {"min": 2}}
    assert strategy({**two, "rollout": {"maxGPUs": 3}}) == SURGE
    assert strategy({**two, "rollout": {"maxGPUs": 2}}) == IN_TURN
    scaled = {"replicas": {"min": 1, "max": 3}, "autoscaling": {"type": "hpa"}}
    assert strategy({**two, **scaled, "rollout": {"maxGPUs": 3}}) == IN_TURN
    assert strategy({**TINY, "rollout": {"maxGPUs": 1}}) == SURGE, "it has no GPU"
