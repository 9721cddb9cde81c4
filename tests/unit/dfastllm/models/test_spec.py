"""`read_spec`: published configurations are read, everything we do not compute is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from dfastllm.errors import CheckpointError
from dfastllm.models.spec import read_spec

VECTORS = Path(__file__).parents[3] / "vectors"

LLADA_8B: dict[str, Any] = {
    "activation_type": "silu",
    "alibi": False,
    "architectures": ["LLaDAModelLM"],
    "attention_layer_norm": False,
    "auto_map": {"AutoModelForCausalLM": "modeling_llada.LLaDAModelLM"},
    "bias_for_layer_norm": False,
    "block_group_size": 1,
    "block_type": "llama",
    "d_model": 4096,
    "embedding_size": 126464,
    "eos_token_id": 126081,
    "include_bias": False,
    "include_qkv_bias": False,
    "input_emb_norm": False,
    "layer_norm_type": "rms",
    "layer_norm_with_affine": True,
    "mask_token_id": 126336,
    "max_sequence_length": 4096,
    "mlp_hidden_size": 12288,
    "model_type": "llada",
    "n_heads": 32,
    "n_kv_heads": 32,
    "n_layers": 32,
    "pad_token_id": 126081,
    "rms_norm_eps": 1e-05,
    "rope": True,
    "rope_theta": 500000.0,
    "scale_logits": False,
    "vocab_size": 126464,
    "weight_tying": False,
}
DREAM_7B: dict[str, Any] = {
    "architectures": ["DreamModel"],
    "auto_map": {"AutoModel": "modeling_dream.DreamModel"},
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "mask_token_id": 151666,
    "max_position_embeddings": 131072,
    "max_window_layers": 28,
    "model_type": "Dream",
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "pad_token_id": 151643,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "vocab_size": 152064,
}


def test_llada_8b_is_read_with_the_end_of_turn_its_config_leaves_out() -> None:
    spec = read_spec(LLADA_8B, {})
    assert (spec.family, spec.head_dim, spec.n_kv_heads) == ("llada", 128, 32)
    assert (spec.mask_id, spec.eos_ids, spec.fill_id) == (126336, (126081, 126348), 126081)
    assert (spec.shift_logits, spec.confidence, spec.schedule) == (False, "raw", "linear")
    assert spec.bos_id == 126080
    assert not spec.qkv_bias
    assert not spec.tied_head
    assert spec.forbidden_ids == (126336,)


def test_dream_7b_is_read_with_its_turn_end() -> None:
    spec = read_spec(DREAM_7B, {})
    assert (spec.family, spec.head_dim, spec.n_kv_heads) == ("dream", 128, 4)
    assert (spec.mask_id, spec.eos_ids, spec.fill_id) == (151666, (151643, 151645), 151643)
    assert (spec.shift_logits, spec.confidence, spec.schedule) == (True, "filtered", "dream")
    assert spec.qkv_bias


def test_published_ids_stand_in_only_in_the_published_vocabulary() -> None:
    ids = ("mask_token_id", "eos_token_id", "pad_token_id")
    bare = {k: v for k, v in LLADA_8B.items() if k not in ids}
    assert read_spec(bare, {}).mask_id == 126336
    with pytest.raises(CheckpointError, match="mask_token_id is missing"):
        read_spec(bare | {"vocab_size": 155136, "embedding_size": 155136}, {})


def test_a_larger_llada_with_grouped_heads_and_tied_head_is_read() -> None:
    other = {
        "vocab_size": 155136,
        "embedding_size": 155136,
        "n_kv_heads": 8,
        "mlp_hidden_size": 14336,
        "weight_tying": True,
        "mask_token_id": 5,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "max_sequence_length": 8192,
    }
    spec = read_spec(LLADA_8B | other, {"eos_token_id": [2, 7]})
    assert (spec.n_kv_heads, spec.tied_head, spec.mask_id) == (8, True, 5)
    assert spec.eos_ids == (2, 7)  # 126348 is an ordinary word here
    assert spec.bos_id is None


def test_a_tied_dream_with_a_small_vocabulary_is_read() -> None:
    small = {
        "vocab_size": 49152,
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
        "mask_token_id": 16,
        "eos_token_id": [2, 0],
        "pad_token_id": 0,
        "bos_token_id": 1,
        "rope_theta": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
    }
    spec = read_spec(DREAM_7B | small, {})
    assert (spec.head_dim, spec.tied_head, spec.rope_theta) == (64, True, 100000.0)
    assert (spec.eos_ids, spec.fill_id) == ((2, 0), 0)


@pytest.mark.parametrize("name", ["llada-tiny", "dream-tiny"])
def test_configs_written_by_the_reference_code_are_read(name: str) -> None:
    spec = read_spec(json.loads((VECTORS / name / "config.json").read_text()), {})
    assert (spec.vocab_size, spec.hidden_size, spec.mask_id) == (512, 64, 500)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alibi", True),
        ("layer_norm_type", "default"),
        ("rope", False),
        ("rope_scaling", {"type": "yarn"}),
        ("attention_layer_norm", True),
        ("include_bias", True),
        ("activation_type", "gelu"),
        ("block_group_size", 2),
        ("block_type", "sequential"),
        ("num_experts", 64),
        ("quantization_config", {"bits": 4}),
        ("clip_qkv", 8.0),
        ("n_layers", "32"),
        ("n_kv_heads", 5),
        ("n_heads", 33),
        ("d_model", None),
        ("mask_token_id", 126464),
        ("eos_token_id", 126336),
        ("embedding_size", 100),
        ("context_attention", "sliding"),
        ("rope_theta", float("nan")),
    ],
)
def test_llada_options_we_do_not_compute_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_spec(LLADA_8B | {field: value}, {})
    named = {"n_heads": "d_model", "d_model": "d_model"}.get(field, field)
    assert f"config.json: {named} " in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("use_sliding_window", True),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("rope_parameters", {"rope_type": "linear"}),
        ("hidden_act", "gelu"),
        ("use_qk_norm", True),
        ("num_experts", 8),
        ("quantization_config", {"quant_method": "awq"}),
        ("num_key_value_heads", 3),
        ("tie_word_embeddings", "yes"),
        ("context_attention", True),
    ],
)
def test_dream_options_we_do_not_compute_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=f"config.json: {field} "):
        read_spec(DREAM_7B | {field: value}, {})


@pytest.mark.parametrize("config", [LLADA_8B, DREAM_7B])
@pytest.mark.parametrize(("value", "causal"), [("causal", True), ("full", False), (None, False)])
def test_how_the_context_is_read_is_said_and_everything_is_the_default(
    config: dict[str, Any], value: str | None, causal: bool
) -> None:
    assert read_spec(config | {"context_attention": value}, {}).causal_context is causal
    assert read_spec(config, {}).causal_context is False


def test_another_way_to_read_the_context_is_refused_with_the_two_there_are() -> None:
    with pytest.raises(CheckpointError, match=r"context_attention is 'prefix'; .*: full, causal"):
        read_spec(DREAM_7B | {"context_attention": "prefix"}, {})


def test_another_network_may_read_a_causal_context() -> None:
    config = DREAM_7B | {"context_attention": "causal", "context_model": "context"}
    assert read_spec(config, {}).context_model == "context"
    assert read_spec(config | {"context_model": None}, {}).context_model is None


@pytest.mark.parametrize("value", ["", ".", "..", "../other", "/models/other", "a/b", 3, ["a"]])
def test_the_network_that_reads_the_context_is_a_folder_of_the_checkpoint(value: object) -> None:
    config = DREAM_7B | {"context_attention": "causal", "context_model": value}
    with pytest.raises(CheckpointError, match=r"context_model is .*inside the checkpoint"):
        read_spec(config, {})


@pytest.mark.parametrize("attention", [None, "full"])
@pytest.mark.parametrize("config", [LLADA_8B, DREAM_7B])
def test_no_other_network_reads_a_context_that_sees_the_block(
    config: dict[str, Any], attention: str | None
) -> None:
    config = config | {"context_attention": attention, "context_model": "base"}
    with pytest.raises(
        CheckpointError, match="context_model is 'base', but context_attention is 'full'"
    ):
        read_spec(config, {})


def test_a_window_that_is_switched_off_is_no_window() -> None:
    assert read_spec(DREAM_7B | {"sliding_window": 4096}, {}).max_position == 131072


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["LLaDAMoEModelLM"], "model_type": "llada"},
        {"model_type": "qwen2"},
        {},
    ],
)
def test_unknown_architectures_are_refused_listing_the_known(config: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="LLaDAModelLM, DreamModel"):
        read_spec(config, {})


def test_unknown_architecture_with_remote_code_says_that_it_is_never_executed() -> None:
    config = {"architectures": ["NewModel"], "auto_map": {"AutoModel": "modeling.NewModel"}}
    with pytest.raises(CheckpointError, match="never executed"):
        read_spec(config, {})
