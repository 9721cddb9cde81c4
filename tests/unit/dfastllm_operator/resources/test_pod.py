import pytest
import yaml

from dfastllm_operator.core import Json
from dfastllm_operator.kinds import CONFIG_MAP, INFERENCE_SERVICE
from dfastllm_operator.serverconfig import drain_s, pre_stop_s
from support.rendered import a_service, body_of, children_of

TINY = {"model": {"uri": "builtin://tiny"}}
HUB = {"model": {"uri": "hf://GSAI-ML/LLaDA-8B-Instruct"}}


def predictor_of(spec: Json) -> Json:
    predictor: Json = body_of(children_of(a_service(spec)), INFERENCE_SERVICE)["spec"]["predictor"]
    return predictor


def container_of(spec: Json) -> Json:
    predictor = predictor_of(spec)
    found: Json = predictor["model"] if "model" in predictor else predictor["containers"][0]
    return found


def config_of(spec: Json) -> Json:
    config: Json = yaml.safe_load(
        body_of(children_of(a_service(spec)), CONFIG_MAP)["data"]["config.yaml"]
    )
    return config


@pytest.mark.parametrize("grace_s", [1, 2, 3, 10, 14, 15, 20, 60, 86400])
def test_sleep_drain_and_exit_fit_the_grace_period(grace_s: int) -> None:
    assert pre_stop_s(grace_s) + drain_s(grace_s) <= grace_s
    container = container_of({**TINY, "terminationGracePeriodSeconds": grace_s})
    sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 1)
    assert 0 < sleep <= grace_s, "Kubernetes refuses another sleep"


def test_the_server_is_told_how_long_it_may_drain() -> None:
    assert config_of(TINY)["server"]["grace_period_s"] == 60 - 5 - 5
    assert (
        config_of({**TINY, "terminationGracePeriodSeconds": 600})["server"]["grace_period_s"] == 590
    )


def test_a_slow_start_is_not_taken_for_a_hang() -> None:
    probe = container_of({**TINY, "startupTimeout": "61s"})["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 61
    assert probe["httpGet"]["path"] == "/health/ready"


def test_a_pod_with_a_gpu_tolerates_its_taint_once() -> None:
    own = {"key": "nvidia.com/gpu", "operator": "Exists"}
    assert predictor_of(HUB)["tolerations"] == [own]
    assert predictor_of({**HUB, "tolerations": [own]})["tolerations"] == [own]
    assert "tolerations" not in predictor_of(TINY)


def test_gpu_memory_is_asked_of_every_alternative_of_the_users() -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    required = {"nodeSelectorTerms": [term, {"matchFields": [{"key": "metadata.name"}]}]}
    spec = {
        **HUB,
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required},
            "podAffinity": {"x": 1},
        },
        "resources": {"gpu": {"count": 1, "memory": "40Gi"}},
    }
    affinity = predictor_of(spec)["affinity"]
    terms = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    rule = {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["38092"]}
    assert terms == [
        {"matchExpressions": [*term["matchExpressions"], rule]},
        {"matchFields": [{"key": "metadata.name"}], "matchExpressions": [rule]},
    ]
    assert affinity["podAffinity"] == {"x": 1}


@pytest.mark.parametrize(
    ("asked", "shown_mib"),
    [("24Gi", 23028), ("16Gi", 15360), ("48Gi", 46068), ("80Gi", 81559), ("141G", 143771)],
)
def test_a_gpu_counts_as_its_data_sheet_says(asked: str, shown_mib: int) -> None:
    """Labels that NVIDIA's feature discovery gives to A10, T4, L40S, H100 and H200."""
    spec = {
        "model": {"uri": "pvc://c/x", "size": {"parameters": "1B"}},
        "resources": {"gpu": {"memory": asked}},
    }
    node = predictor_of(spec)["affinity"]["nodeAffinity"]
    (term,) = node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert int(term["matchExpressions"][0]["values"][0]) < shown_mib


def test_without_a_gpu_nothing_is_said_of_gpus() -> None:
    spec = {**HUB, "resources": {"gpu": {"count": 0, "memory": "80Gi"}}}
    assert "affinity" not in predictor_of(spec)
    assert "tolerations" not in predictor_of(spec)
    assert config_of(spec)["model"]["device"] == "cpu"
    assert config_of(HUB)["model"]["device"] == "cuda"


def test_another_device_is_no_gpu() -> None:
    spec = {**TINY, "resources": {"limits": {"rdma/hca": 1}}}
    assert "tolerations" not in predictor_of(spec)
    assert config_of(spec)["model"]["device"] == "cpu"


def test_a_volume_of_the_users_at_tmp_replaces_ours() -> None:
    mine = {"name": "scratch", "mountPath": "/tmp", "emptyDir": {}}
    mounts = container_of({**TINY, "volumes": [mine]})["volumeMounts"]
    assert [m["name"] for m in mounts if m["mountPath"] == "/tmp"] == ["scratch"]


def test_shared_memory_is_a_volume_only_when_asked_for() -> None:
    assert all(v["name"] != "dfastllm-shm" for v in predictor_of(HUB)["volumes"])
    found = predictor_of({**HUB, "shmSize": "2048Mi"})["volumes"]
    assert {"name": "dfastllm-shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in found


def test_the_users_variable_goes_before_ours_of_the_same_name() -> None:
    env = container_of({**TINY, "env": [{"name": "HF_HOME", "value": "/cache"}]})["env"]
    assert [e["value"] for e in env if e["name"] == "HF_HOME"] == ["/cache"]


def test_the_pod_meets_the_restricted_standard() -> None:
    for spec in (TINY, HUB):
        pod, container = predictor_of(spec), container_of(spec)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
