"""A causal model judges answers by their likelihood, and answers a token at a time itself."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.quality_base import CausalBase
from benchmarks.quality_partners import Answer
from benchmarks.quality_rules import DEFAULT, fixed
from benchmarks.quality_suites import Question
from dfastllm.errors import InvalidRequest
from training.vocabulary import ARTEFACTS, EOT, SIZE

QUESTIONS = [
    Question("x", [{"role": "user", "content": text}])
    for text in ("Hello", "What is 27 + 48?", "Sort 3, 1, 2")
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> CausalBase:
    folder: Path = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=SIZE, hidden_size=32, intermediate_size=64,
                         num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
                         bos_token_id=2, eos_token_id=EOT)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(ARTEFACTS / name, folder)
    return CausalBase(str(folder), rows=2)


def test_its_own_greedy_answers_are_likelier_than_others(base: CausalBase) -> None:
    own = base.answer(QUESTIONS, DEFAULT, 12)
    other = [Answer("zebra", 1, 1, ended=False)] * 3
    likely, unlikely = (
        sum(nats for nats, _ in found) / sum(count for _, count in found)
        for found in (base.nll(QUESTIONS, answers) for answers in (own, other))
    )
    assert likely < unlikely


def test_an_answer_that_ended_is_judged_with_its_end(base: CausalBase) -> None:
    open_, ended = (
        base.nll(QUESTIONS[:1], [Answer("75", 3, 3, ended=ended)])[0] for ended in (False, True)
    )
    assert ended[1] == open_[1] + 1
    assert ended[0] > open_[0]


def test_answers_side_by_side_are_those_given_alone(base: CausalBase) -> None:
    together = base.answer(QUESTIONS, DEFAULT, 12)
    assert together == [base.answer([question], DEFAULT, 12)[0] for question in QUESTIONS]
    assert all(answer.forwards == answer.tokens <= 12 for answer in together)


def test_answers_judged_side_by_side_are_judged_as_alone(base: CausalBase) -> None:
    answers = [Answer(text, 3, 3, ended=True) for text in ("75", "Hello there, and more", "")]
    together = base.nll(QUESTIONS, answers)
    alone = [base.nll([q], [a])[0] for q, a in zip(QUESTIONS, answers, strict=True)]
    assert [count for _, count in together] == [count for _, count in alone]
    assert [nats for nats, _ in together] == pytest.approx([nats for nats, _ in alone], rel=1e-4)


def test_an_empty_answer_has_no_likelihood(base: CausalBase) -> None:
    assert base.nll(QUESTIONS[:1], [Answer("", 0, 1, ended=False)]) == [(0.0, 0)]


def test_it_knows_no_diffusion_rule(base: CausalBase) -> None:
    with pytest.raises(InvalidRequest):
        base.answer(QUESTIONS, fixed(2), 12)
