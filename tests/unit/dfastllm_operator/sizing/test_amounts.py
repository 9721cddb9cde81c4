import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfastllm_operator.api.model import BUILTINS
from dfastllm_operator.core import Json
from dfastllm_operator.sizing import resources_of, size
from dfastllm_operator.sizing.amounts import BUILTIN_CPU
from dfastllm_operator.sizing.quantity import value
from support.rendered import a_service

TINY = {"uri": "builtin://tiny"}
LLADA = {"uri": "hf://GSAI-ML/LLaDA-8B-Instruct"}
UNKNOWN = {"uri": "pvc://claim/x"}


def amounts(model: Json, resources: Json | None = None, **said: object) -> tuple[Json, Json]:
    spec = a_service({"model": model, "resources": resources or {}, **said}).spec
    return resources_of(spec, size(spec, None))


def test_a_model_of_the_hub_gets_one_gpu_and_memory_for_its_weights() -> None:
    requests, limits = amounts(LLADA)
    assert requests == {"cpu": "2", "memory": "19Gi", "nvidia.com/gpu": "1"}
    assert limits == {"memory": "19Gi", "nvidia.com/gpu": "1"}


def test_a_built_in_model_names_every_limit_that_kserve_would_set() -> None:
    requests, limits = amounts(TINY)
    assert set(requests) == set(limits) == {"cpu", "memory"}
    assert amounts(TINY, {"requests": {"cpu": "4"}})[1]["cpu"] == "4"


def test_the_english_model_gets_two_cores_and_memory_for_both_models() -> None:
    requests, limits = amounts({"uri": "builtin://smol"})
    assert requests == {"cpu": "2", "memory": "3584Mi"}
    assert limits == {"cpu": "4", "memory": "3584Mi"}
    alone, _ = amounts({"uri": "builtin://smol", "verifier": {"name": "none"}})
    assert alone["memory"] == "3328Mi"


def test_every_built_in_model_has_its_cores() -> None:
    assert BUILTIN_CPU.keys() == set(BUILTINS)


def test_shared_memory_counts_as_memory_of_the_pod() -> None:
    assert amounts(LLADA, shmSize="3Gi")[0]["memory"] == "22Gi"


@pytest.mark.parametrize(
    ("said", "requests", "limits"),
    [
        ({"requests": {"memory": "40Gi"}}, {"memory": "40Gi"}, {"memory": "40Gi"}),
        ({"requests": {"memory": "4096Mi"}}, {"memory": "4Gi"}, {"memory": "19Gi"}),
        ({"limits": {"memory": "12Gi"}}, {"memory": "12Gi"}, {"memory": "12Gi"}),
        ({"limits": {"memory": "40Gi"}}, {"memory": "19Gi"}, {"memory": "40Gi"}),
        ({"limits": {"cpu": "500m"}}, {"cpu": "500m"}, {"cpu": "500m"}),
        ({"requests": {"cpu": 8}}, {"cpu": "8"}, {}),
        ({"requests": {"ephemeral-storage": "20Gi"}}, {"ephemeral-storage": "20Gi"}, {}),
        (
            {"requests": {"memory": "1Gi"}, "limits": {"memory": "2048Mi"}},
            {"memory": "1Gi"},
            {"memory": "2Gi"},
        ),
    ],
)
def test_what_the_spec_says_goes_first_and_the_rest_follows(
    said: Json, requests: Json, limits: Json
) -> None:
    got_requests, got_limits = amounts(LLADA, said)
    assert got_requests == {**amounts(LLADA)[0], **requests}
    assert got_limits == {**amounts(LLADA)[1], **limits}


@pytest.mark.parametrize("said", [{"limits": {"rdma/hca": 1}}, {"requests": {"rdma/hca": "1"}}])
def test_extended_resources_are_requested_and_limited_alike(said: Json) -> None:
    requests, limits = amounts(LLADA, said)
    assert requests["rdma/hca"] == limits["rdma/hca"] == "1"


def test_one_gpu_or_as_the_spec_says_none() -> None:
    requests, limits = amounts(LLADA, {"gpu": {"count": 1}})
    assert requests["nvidia.com/gpu"] == limits["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in amounts(LLADA, {"gpu": {"count": 0}})[1]


def test_other_names_of_gpus_are_asked_for_by_their_name() -> None:
    _, limits = amounts(LLADA, {"gpu": {"resourceName": "nvidia.com/mig-3g.40gb"}})
    assert limits["nvidia.com/mig-3g.40gb"] == "1"
    assert "nvidia.com/gpu" not in limits


def test_an_unknown_size_takes_the_users_memory_and_one_gpu() -> None:
    requests, limits = amounts(UNKNOWN, {"requests": {"memory": "40Gi"}})
    assert requests == {"cpu": "2", "memory": "40Gi", "nvidia.com/gpu": "1"}
    assert limits == {"nvidia.com/gpu": "1"}


def test_without_a_gpu_there_is_a_core_for_each_thread() -> None:
    none = {"gpu": {"count": 0}}
    assert amounts(LLADA, none)[0]["cpu"] == "4"
    assert amounts(LLADA, none, engine={"numThreads": 16})[0]["cpu"] == "16"


_QUANTITIES = st.builds(
    "{}{}".format, st.integers(0, 4096), st.sampled_from(["", "m", "k", "Mi", "Gi", "G"])
)
_AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage"]), _QUANTITIES)


@given(model=st.sampled_from([TINY, LLADA]), said=_AMOUNTS, limits=_AMOUNTS)
def test_no_request_exceeds_its_limit(model: Json, said: Json, limits: Json) -> None:
    others = {name: amount for name, amount in limits.items() if name not in said}
    requests, most = amounts(model, {"requests": said, "limits": others})
    for name in requests.keys() & most.keys():
        assert value(requests[name]) <= value(most[name])
