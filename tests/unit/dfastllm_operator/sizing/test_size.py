import json
from dataclasses import replace
from pathlib import Path

import pytest

import dfastllm
from dfastllm_operator.api import Spec
from dfastllm_operator.core import Json
from dfastllm_operator.errors import Refuse
from dfastllm_operator.sizing import HubConfig, Sizing, size
from dfastllm_operator.sizing.hub_config import read_config
from dfastllm_operator.sizing.known import KNOWN, known_shape, needs_hub
from dfastllm_operator.sizing.quantity import GI
from support.rendered import a_service

LLADA = "hf://GSAI-ML/LLaDA-8B-Instruct"
OTHER = "hf://someone/new-model"
DREAM: Json = {"uri": "hf://Dream-org/Dream-v0-Instruct-7B"}
SMALL: Json = {"uri": "hf://Qwen/Qwen2.5-0.5B"}
BUILTIN = Path(dfastllm.__file__).parent / "builtin"
CARRIED = sorted(path.parent.name for path in BUILTIN.glob("*/config.json"))


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


@pytest.mark.parametrize("name", CARRIED)
def test_a_built_in_model_is_as_large_as_the_server_carries_it(name: str) -> None:
    read = read_config(name, json.loads((BUILTIN / name / "config.json").read_text()))
    known = known_shape(f"builtin://{name}")
    assert read is not None
    assert known is not None
    assert read.shape == replace(known, context=None)


@pytest.mark.parametrize("name", [name for name in CARRIED if name.startswith("tiny")])
def test_a_built_in_model_that_ships_whole_has_as_many_parameters(name: str) -> None:
    file = BUILTIN / name / "model.safetensors"
    header = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    known = known_shape(f"builtin://{name}")
    assert known is not None
    assert file.stat().st_size - header == known.parameters * 2


def test_a_verifier_is_counted_with_its_weights_and_its_cache() -> None:
    alone, both = sized(model=DREAM), sized(model={**DREAM, "verifier": SMALL})
    assert both.verifier == 494_032_768 * 2
    assert both.weights == alone.weights + both.verifier
    tokens = 8 * 131_072
    assert both.kv_cache - alone.kv_cache == tokens * 2 * 24 * 2 * 64 * 2
    assert both.overhead - alone.overhead == 8 * 8 * (128 * (151_936 + 152_064) - 32 * 152_064)
    assert both.pod_memory == alone.pod_memory + both.verifier
    status = both.to_status()
    assert status["verifier"] == "942Mi"
    for part in ("verifier 494.03M x 2 bytes = 942Mi", "(56Ki + 12Ki of the verifier)"):
        assert part in status["explanation"]
    assert "verifier" not in alone.to_status()


def test_a_model_that_verifies_itself_has_its_weights_once_and_two_caches() -> None:
    alone, itself = sized(model=DREAM), sized(model={**DREAM, "verifier": {"name": "self"}})
    assert itself.weights == alone.weights
    assert itself.kv_cache == 2 * alone.kv_cache


def test_a_verifier_that_reads_the_context_is_there_anyway_and_shares_its_cache() -> None:
    uri = "builtin://smol"
    brought, without, other = (
        sized(model={"uri": uri, **more})
        for more in ({}, {"verifier": {"name": "none"}}, {"verifier": SMALL})
    )
    assert brought.verifier == 134_515_008 * 4
    assert brought.weights == without.weights == 2 * brought.verifier
    assert brought.kv_cache == without.kv_cache
    assert other.weights == without.weights + other.verifier
    assert "verifier and reader of the context 134.52M" in brought.explanation
    assert "reader of the context 134.52M" in without.explanation
    assert " of the verifier)" not in brought.explanation
    assert " of the verifier)" in other.explanation
    named = {"uri": uri, "verifier": {"uri": f"{uri}-verifier"}}
    assert sized(model=named) == brought


def test_a_size_that_is_said_is_the_models_alone_and_its_reader_is_there_all_the_same() -> None:
    said: Json = {"uri": "builtin://smol", "size": {"parameters": 134_515_008}}
    brought, without = sized(model=said), sized(model={**said, "verifier": {"name": "none"}})
    assert brought.weights == without.weights == 2 * 134_515_008 * 4
    assert brought.kv_cache == without.kv_cache
    assert "verifier and reader of the context 134.52M" in brought.explanation


def test_a_built_in_model_is_counted_with_the_verifier_it_brings() -> None:
    uri = "builtin://tiny"
    brought, without = (
        sized(model={"uri": uri}),
        sized(model={"uri": uri, "verifier": {"name": "none"}}),
    )
    assert not brought.gpu
    assert brought.verifier > 0
    assert brought.weights == without.weights + brought.verifier
    assert brought.pod_memory > without.pod_memory
    named = {"uri": uri, "verifier": {"uri": f"{uri}-verifier"}}
    assert sized(model=named) == brought


def test_a_longer_draft_has_more_logits() -> None:
    model = {**DREAM, "verifier": SMALL}
    longer = sized(model=model, decoding={"lookahead": 129})
    assert longer.overhead > sized(model=model).overhead
    assert sized(model=DREAM, decoding={"lookahead": 64}) == sized(model=DREAM)


def test_a_verifier_of_unknown_size_names_its_own_fields() -> None:
    model = {**DREAM, "verifier": {"uri": "s3://b/v"}}
    refused = refusal(model=model)
    assert refused.reason == "SizeUnknown"
    for part in ("the size of the verifier", "s3://b/v", "spec.model.verifier.size.parameters"):
        assert part in refused.message
    said = sized(model=model, resources={"requests": {"memory": "40Gi"}})
    assert "size of the verifier is not known" in said.explanation
    sized_too = {**DREAM, "verifier": {"uri": "s3://b/v", "size": {"parameters": "494032768"}}}
    assert sized(model=sized_too).verifier == 494_032_768 * 2


def test_a_verifier_of_the_hub_is_sized_from_its_own_configuration() -> None:
    model = {**DREAM, "verifier": {"uri": OTHER, "revision": "v2"}}
    spec = spec_of(model=model)
    assert spec.model.verifier is not None
    assert needs_hub(spec.model.verifier) == ("someone/new-model", "v2")
    config = dream_config(num_hidden_layers=2)
    found = size(spec, None, read_config("someone/new-model", config))
    assert 0 < found.verifier < found.weights
    assert found.source == "table of known models"


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
    assert needs_hub(spec_of(model={"uri": uri}).model) == asks


def test_the_hub_is_asked_for_the_revision_that_will_be_served() -> None:
    spec = spec_of(model={"uri": OTHER, "revision": "v2"})
    assert needs_hub(spec.model) == ("someone/new-model", "v2")
    assert needs_hub(spec_of(model={"uri": OTHER, "size": {"parameters": 7}}).model) is None


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
