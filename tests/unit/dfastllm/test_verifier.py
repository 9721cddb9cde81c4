"""Which verifier a model gets, and when it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dfastllm import LLM, DecodingParams
from dfastllm.core import StrategyName
from dfastllm.errors import CheckpointError, InvalidRequest
from dfastllm.models.causal import load_causal, read_causal_spec
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.transformer import Transformer
from support.apd_reference import output_rows
from support.causal_context import CONTEXT, two_network_checkpoint
from support.checkpoints import causal_checkpoint, random_checkpoint
from support.vocabularies import pieces, write

APD = DecodingParams(StrategyName.APD, lookahead=8)
PROMPTS = ["abc the", "a"]


def swap_ids(directory: Path) -> None:
    path = directory / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocab = tokenizer["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    path.write_text(json.dumps(tokenizer))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, Path]:
    """A drafter and a verifier that share a tokenizer."""
    for name in ("drafter", "verifier"):
        (tmp_path / name).mkdir()
    drafter = random_checkpoint(tmp_path / "drafter")
    return str(drafter), causal_checkpoint(tmp_path / "verifier")


def test_a_verifier_from_a_directory_is_asked(pair: tuple[str, Path]) -> None:
    llm = LLM(pair[0], verifier=str(pair[1]))
    for answer in llm.generate(PROMPTS, max_tokens=24, decoding=APD, ignore_eos=True):
        assert len(answer.token_ids) == 24
        assert answer.stats.verifier_passes > 0
        assert answer.stats.accepted == 24 <= answer.stats.drafted


@pytest.mark.parametrize("name", [None, "none"])
def test_without_one_the_strategy_is_refused_by_name(
    pair: tuple[str, Path], name: str | None
) -> None:
    llm = LLM(pair[0], verifier=name)
    assert not llm.engine.verifies
    with pytest.raises(InvalidRequest, match="verifier"):
        llm.generate(PROMPTS, decoding=APD)


@pytest.mark.parametrize("named", [False, True])
def test_the_network_that_reads_the_context_verifies_unless_told(
    tmp_path: Path, named: bool
) -> None:
    """It is loaded once, whether it was left out or named by its folder."""
    folder = two_network_checkpoint(tmp_path)
    write(folder, pieces())
    llm = LLM(str(folder), verifier=str(folder / CONTEXT) if named else None)
    assert llm.engine.verifier_page_bytes == 0
    answers = llm.generate([[5, 9, 40]], max_tokens=12, decoding=APD, ignore_eos=True)
    assert answers[0].stats.verifier_passes > 0
    assert not LLM(str(folder), verifier="none").engine.verifies


def test_it_has_no_part_of_the_k_v_budget_of_its_own(tmp_path: Path) -> None:
    folder = two_network_checkpoint(tmp_path)
    write(folder, pieces())
    llms = [LLM(str(folder), verifier=v, max_running_requests=100_000) for v in (None, "none")]
    shared, alone = (llm.engine for llm in llms)
    assert shared.verifies
    assert shared.config.kv_cache_tokens == alone.config.kv_cache_tokens
    assert shared.config.kv_cache_tokens < 100_000 * shared.config.max_model_len  # the budget's


def test_a_model_that_leaves_its_context_to_another_cannot_verify_itself(tmp_path: Path) -> None:
    folder = two_network_checkpoint(tmp_path)
    write(folder, pieces())
    with pytest.raises(CheckpointError, match="'self' needs a model that reads its context itself"):
        LLM(str(folder), verifier="self")


def test_a_context_network_of_another_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = two_network_checkpoint(tmp_path)
    write(folder, pieces())
    write(folder / CONTEXT, pieces())
    assert LLM(str(folder)).engine.verifies
    swap_ids(folder / CONTEXT)
    with pytest.raises(CheckpointError, match=r"context network context has other ids for 2"):
        LLM(str(folder))


def test_a_verifier_of_another_tokenizer_is_refused_at_the_start(pair: tuple[str, Path]) -> None:
    write(pair[1], pieces())
    with pytest.raises(CheckpointError, match="the model's own tokenizer"):
        LLM(pair[0], verifier=str(pair[1]))


def test_ids_that_differ_are_shown(pair: tuple[str, Path]) -> None:
    swap_ids(pair[1])
    with pytest.raises(
        CheckpointError, match=r"other ids for 2 of the model's tokens \('a', 'b'\)"
    ):
        LLM(pair[0], verifier=str(pair[1]))


def test_an_added_token_that_only_the_model_has_does_not_matter(pair: tuple[str, Path]) -> None:
    path = pair[1] / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"].pop()
    path.write_text(json.dumps(tokenizer))
    assert LLM(pair[0], verifier=str(pair[1])).engine.verifies


def test_itself_needs_a_model_that_predicts_the_next_token(pair: tuple[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="self"):
        LLM(pair[0], verifier="self")


def test_k_v_memory_is_shared_with_the_verifier(pair: tuple[str, Path]) -> None:
    alone = LLM(pair[0]).engine
    both = LLM(pair[0], verifier=str(pair[1]), max_running_requests=100_000).engine
    assert both.verifier_page_bytes > 0
    assert alone.verifier_page_bytes == 0
    pages = both.config.kv_cache_tokens // 32
    assert pages * (both.kv_page_bytes + both.verifier_page_bytes) <= 1 << 30


LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 99,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5000.0,
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "LlamaForCausalLM"),
        ({"architectures": None, "model_type": "mistral"}, "mistral"),
        ({"attention_bias": True}, "attention_bias"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope_scaling"),
        ({"quantization_config": {}}, "quantization_config"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
    ],
)
def test_what_a_causal_model_has_that_we_do_not_compute_is_named(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        read_causal_spec(LLAMA | changes)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["Llama", "Qwen2"])
def test_the_causal_layouts_compute_what_transformers_computes(
    tmp_path: Path, kind: str, tied: bool
) -> None:
    import transformers

    torch.manual_seed(3)
    values = {k: v for k, v in LLAMA.items() if k != "architectures"}
    config = getattr(transformers, f"{kind}Config")(**values, tie_word_embeddings=tied)
    reference = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for parameter in reference.parameters():
        parameter.data = torch.randn_like(parameter) * 0.3
    reference.save_pretrained(tmp_path)
    model: Transformer[NetworkSpec] = load_causal(
        tmp_path, dtype=torch.float32, device=torch.device("cpu")
    )
    assert model.spec.qkv_bias is (kind == "Qwen2")
    tokens = [5, 9, 98, 1, 0, 44, 7]
    with torch.no_grad():
        expected = reference(torch.tensor([tokens])).logits[0]
    assert torch.allclose(output_rows(model, tokens, causal=True), expected, atol=1e-4)


def test_a_causal_checkpoint_with_a_tensor_too_many_is_refused(tmp_path: Path) -> None:
    directory = causal_checkpoint(tmp_path)
    tensors = load_file(directory / "model.safetensors")
    tensors["model.layers.0.self_attn.q_proj.bias"] = torch.zeros(48)
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(CheckpointError, match="not part of this model"):
        load_causal(directory, dtype=torch.float32, device=torch.device("cpu"))
