"""The loops that the engine is compared with write what the engine writes."""

from pathlib import Path

import pytest
import torch

from benchmarks.reader_loops import causal, figures, published
from dfastllm.core import DecodingParams, Request, StrategyName
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.models.checkpoint import load_model
from dfastllm.models.transformer import Transformer
from support.causal_context import causal_context_checkpoint, two_network_checkpoint
from support.reference import VECTORS, run
from support.two_networks import engine_of, load_pair

CPU = torch.device("cpu")
PROMPT, CANVAS, BLOCK = (3, 1, 4, 1, 5, 9, 2, 6), 12, 4


@pytest.fixture(params=("dream", "llada", "causal context"))
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Transformer:
    if request.param == "causal context":
        return load_model(causal_context_checkpoint(tmp_path), device=CPU)
    return load_model(VECTORS / f"{request.param}-tiny", device=CPU)


def test_the_published_loop_writes_what_one_token_a_step_writes(model: Transformer) -> None:
    engine = DFastLLMEngine(model, EngineConfig(max_model_len=64))
    decoding = DecodingParams(StrategyName.FIXED, BLOCK)
    outcome = run(engine, [Request("x", PROMPT, CANVAS, decoding=decoding)])["x"]
    written = published(model, PROMPT, CANVAS, BLOCK, stops=False)
    assert written.tokens == outcome.ids
    assert written.forwards == CANVAS


def test_it_reads_the_context_by_another_network_where_there_is_one(tmp_path: Path) -> None:
    model, context = load_pair(two_network_checkpoint(tmp_path))
    decoding = DecodingParams(StrategyName.FIXED, BLOCK)
    for prompt in (PROMPT, PROMPT[:1]):
        outcome = run(
            engine_of((model, context)), [Request("x", prompt, CANVAS, decoding=decoding)]
        )["x"]
        written = published(model, prompt, CANVAS, BLOCK, stops=False, context=context)
        assert written.tokens == outcome.ids


def test_a_loop_that_stops_writes_the_same_with_fewer_forwards(model: Transformer) -> None:
    ends = published(model, PROMPT, CANVAS, BLOCK, stops=False).tokens[1]
    object.__setattr__(model.spec, "eos_ids", (ends,))
    whole, stopped = (published(model, PROMPT, CANVAS, BLOCK, stops=s) for s in (False, True))
    assert stopped.tokens == whole.tokens
    assert (stopped.forwards, whole.forwards) == (BLOCK, CANVAS)


def test_a_causal_answer_needs_no_cache_to_be_the_same(model: Transformer) -> None:
    long = causal(model, PROMPT, 6, ends=())
    again = [causal(model, (*PROMPT, *long.tokens[:n]), 1, ends=()).tokens[0] for n in range(6)]
    assert again == long.tokens
    assert (
        causal(model, PROMPT, 6, ends=long.tokens[2:3]).forwards
        == long.tokens.index(long.tokens[2]) + 1
    )


def test_figures_pool_all_answers(model: Transformer) -> None:
    row = figures(lambda prompt: causal(model, prompt, len(prompt), ends=()), [PROMPT, PROMPT[:4]])
    assert (row["answers"], row["tokens_per_answer"], row["tokens_per_forward"]) == (2, 6, 1)
