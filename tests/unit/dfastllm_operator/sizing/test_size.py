import json
from pathlib import Path

import pytest

import dfastllm
from dfastllm_operator.api import Spec
from dfastllm_operator.core import Json
from dfastllm_operator.errors import Refuse
from dfastllm_operator.sizing import HubConfig, Sizing, size
from dfastllm_operator.sizing.hub_config import read_config
from dfastllm_operator.sizing.known import KNOWN, TINY, needs_hub
from dfastllm_operator.sizing.quantity import GI
from support.rendered import a_service

LLADA = "hf://GSAI-ML/LLaDA-8B-Instruct"
OTHER = "hf://someone/new-model"


def spec_of(**said: Json) -> Spec:
    said.setdefault("model", {"uri": LLADA})
    return a_service(dict(said)).spec


def sized(hub: HubConfig | None = None, **said: Json) -> Sizing:
    return size(spec_of(**said), hub)


def refusal(**said: Json) -> Refuse:
    with pytest.raises(Refuse) as caught:
        size(spec_of(**said), None)
    return caught.value


def llada_config(**said: object) -> Json:
    """The published shape of LLaDA-8B."""
    return {
        "d_model": 4096,
        "n_layers": 32,
        "n_heads": 32,
        "n_kv_heads": 32,
        "mlp_hidden_size": 12288,
        "vocab_size": 126464,
        "embedding_size": 126464,
        "weight_tying": False,
        "max_sequence_length": 4096,
        "torch_dtype": "bfloat16",
        **said,
    }


def dream_config(**said: object) -> Json:
    return {
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "intermediate_size": 18944,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "max_position_embeddings": 131072,
        "torch_dtype": "bfloat16",
        **said,
    }


def test_a_known_model_is_sized_by_the_sums_that_status_shows() -> None:
    found = sized()
    assert found.weights == 8_015_581_184 * 2
    assert found.kv_cache == 8 * 4096 * 2 * 32 * 32 * 128 * 2 == 16 * GI
    status = found.to_status()
    assert status["parameters"] == "8.02B"
    assert (status["weights"], status["kvCache"], status["dtype"]) == ("14.9Gi", "16Gi", "bfloat16")
    assert status["source"] == "table of known models"
    for part in ("8.02B x 2 bytes", "8 answers of 4096", "x 512Ki", "x 126464 tokens", "0.9"):
        assert part in status["explanation"]


def test_the_parts_add_up() -> None:
    found = sized()
    assert found.total == found.weights + found.kv_cache + found.overhead


def test_the_built_in_model_is_what_the_server_carries() -> None:
    folder = Path(dfastllm.__file__).parent / "builtin" / "tiny"
    read = read_config("tiny", json.loads((folder / "config.json").read_text()))
    assert read is not None
    assert read.shape == TINY
    header = 8 + int.from_bytes((folder / "model.safetensors").read_bytes()[:8], "little")
    stored = (folder / "model.safetensors").stat().st_size - header
    assert stored == TINY.parameters * 2


def test_the_table_agrees_with_the_formula_for_configurations() -> None:
    llada = read_config("x/y", llada_config())
    dream = read_config("x/y", dream_config())
    assert llada is not None
    assert dream is not None
    assert llada.shape == KNOWN["GSAI-ML/LLaDA-8B-Instruct"]
    known = KNOWN["Dream-org/Dream-v0-Instruct-7B"]
    assert abs(dream.shape.parameters - known.parameters) < 1_000_000  # biases are not counted
    assert dream.shape.kv_bytes_per_token("bfloat16") == known.kv_bytes_per_token("bfloat16")


@pytest.mark.parametrize(
    "config",
    [
        {},
        llada_config(n_layers=None),
        llada_config(n_layers="32"),
        llada_config(d_model=True),
        dream_config(num_attention_heads=0),
        dream_config(num_experts=64),
        dream_config(n_routed_experts="many"),
    ],
)
def test_a_configuration_that_is_not_understood_gives_no_size(config: Json) -> None:
    assert read_config("x/y", config) is None


def test_a_stored_format_we_have_no_width_for_counts_as_half_precision() -> None:
    read = read_config("x/y", dream_config(torch_dtype="float8_e4m3fn"))
    assert read is not None
    assert read.shape.dtype == "bfloat16"


def test_a_model_of_the_hub_is_sized_from_its_configuration() -> None:
    hub = read_config("someone/new-model", dream_config())
    found = sized(hub, model={"uri": OTHER})
    assert found.source == "config.json of someone/new-model"
    assert found.dtype == "bfloat16"


def test_what_the_user_says_goes_before_what_is_known() -> None:
    found = sized(model={"uri": LLADA, "size": {"parameters": "1B", "dtype": "float32"}})
    assert (found.source, found.weights) == ("model.size", 4 * 10**9)


def test_a_size_by_parameters_alone_is_estimated_on_the_large_side() -> None:
    said = sized(model={"uri": "pvc://c/x", "size": {"parameters": "8.02B"}})
    known = sized()
    assert known.kv_cache <= said.kv_cache <= 1.3 * known.kv_cache
    assert known.overhead <= said.overhead


def test_a_size_said_in_full_is_not_estimated() -> None:
    full = {"parameters": "8015581184", "layers": 32, "kvHeads": 32, "headDim": 128}
    said = sized(model={"uri": "pvc://c/x", "size": {**full, "vocabSize": 126464}})
    assert (said.weights, said.kv_cache) == (sized().weights, sized().kv_cache)


@pytest.mark.parametrize(
    ("uri", "asks"),
    [
        (OTHER, ("someone/new-model", None)),
        (LLADA, None),
        ("hf://gsai-ml/llada-8b-instruct", None),
        ("builtin://tiny", None),
        ("pvc://claim/x", None),
    ],
)
def test_the_hub_is_asked_only_for_what_nothing_else_says(
    uri: str, asks: tuple[str, str | None] | None
) -> None:
    assert needs_hub(spec_of(model={"uri": uri})) == asks


def test_the_hub_is_asked_for_the_revision_that_will_be_served() -> None:
    spec = spec_of(model={"uri": OTHER, "revision": "v2"})
    assert needs_hub(spec) == ("someone/new-model", "v2")
    assert needs_hub(spec_of(model={"uri": OTHER, "size": {"parameters": 7}})) is None


@pytest.mark.parametrize("uri", [OTHER, "pvc://claim/x", "s3://bucket/x"])
def test_an_unknown_size_names_the_fields_that_would_say_it(uri: str) -> None:
    refused = refusal(model={"uri": uri})
    assert refused.reason == "SizeUnknown"
    assert uri in refused.message
    for field in ("spec.model.size.parameters", "layers", "kvHeads", "headDim", "dtype"):
        assert field in refused.message
    assert "spec.resources.requests.memory" in refused.message


def test_resources_that_the_user_names_need_no_size() -> None:
    found = sized(model={"uri": "pvc://c/x"}, resources={"requests": {"memory": "40Gi"}})
    assert found.gpu
    assert set(found.to_status()) == {"source", "explanation"}


@pytest.mark.parametrize(
    ("model", "resources", "gpu"),
    [
        ({"uri": "builtin://tiny"}, {}, False),
        ({"uri": "builtin://tiny"}, {"gpu": {"count": 1}}, True),
        ({"uri": LLADA}, {}, True),
        ({"uri": LLADA}, {"gpu": {"memory": "80Gi"}}, True),
        ({"uri": LLADA}, {"gpu": {"count": 0}}, False),
    ],
)
def test_built_in_models_get_no_gpu_unless_asked_for(
    model: Json, resources: Json, gpu: bool
) -> None:
    assert sized(model=model, resources=resources).gpu == gpu


def test_on_a_cpu_weights_are_float32_and_the_cache_is_small() -> None:
    found = sized(resources={"gpu": {"count": 0}})
    assert found.dtype == "float32"
    assert found.weights == 8_015_581_184 * 4
    assert found.kv_cache <= GI
    assert found.pod_memory > found.total


def test_a_format_that_the_user_sets_is_counted() -> None:
    assert sized(engine={"dtype": "float32"}).weights == 8_015_581_184 * 4


@pytest.mark.parametrize(
    ("engine", "tokens"),
    [
        ({}, 8 * 4096),
        ({"maxRunningRequests": 2}, 2 * 4096),
        ({"maxModelLen": 1000}, 8 * 1024),  # whole pages of 32
        ({"kvCacheTokens": 5000}, 5000),
        ({"kvCacheTokens": 10**9}, 8 * 4096),
    ],
)
def test_the_cache_holds_all_running_answers_or_what_is_said(engine: Json, tokens: int) -> None:
    assert sized(engine=engine).kv_cache == tokens * 2 * 32 * 32 * 128 * 2


def test_a_gpu_that_is_too_small_is_refused_with_the_sums() -> None:
    refused = refusal(resources={"gpu": {"memory": "16Gi"}})
    assert refused.reason == "DoesNotFit"
    for part in ("spec.resources.gpu.memory is 16Gi", "14.4Gi", "8.02B x 2 bytes", "14.9Gi"):
        assert part in refused.message
    assert "ask for a GPU of at least" in refused.message
    least = refused.message.partition("at least ")[2].partition("Gi")[0]
    assert sized(resources={"gpu": {"memory": f"{float(least) + 0.1:.1f}Gi"}}).gpu


def test_a_cache_nobody_asked_for_by_number_may_be_smaller() -> None:
    assert sized(resources={"gpu": {"memory": "24Gi"}}).total > 24 * GI
    refused = refusal(resources={"gpu": {"memory": "24Gi"}}, engine={"kvCacheTokens": 32768})
    assert "lower engine.kvCacheTokens" in refused.message


def test_full_precision_that_does_not_fit_is_told_of_half() -> None:
    refused = refusal(resources={"gpu": {"memory": "24Gi"}}, engine={"dtype": "float32"})
    assert "set engine.dtype to bfloat16" in refused.message


def test_memory_of_a_gpu_is_not_checked_on_a_cpu() -> None:
    assert not sized(resources={"gpu": {"count": 0, "memory": "1Gi"}}).gpu
