"""The CUDA path gives what the CPU path gives. Run where there is a GPU: `pytest tests/gpu -m gpu`.

Needs torch, numpy, safetensors and pytest only.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import dfastllm
from dfastllm.cache.policy import Feed
from dfastllm.core import CacheKind, DecodingParams, Request, SamplingParams, StrategyName
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.errors import RowFailed
from dfastllm.models.batch import Segment, pack
from dfastllm.models.checkpoint import load_model
from support.causal_context import causal_context_checkpoint, two_network_checkpoint
from support.reference import VECTORS, reference_engine, request_of, run
from support.two_networks import apd_rows, block_rows, engine_of, load_pair

pytestmark = pytest.mark.gpu
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TINY = Path(dfastllm.__file__).parent / "builtin" / "tiny"
CASES = [
    (family, case)
    for family in ("llada", "dream")
    for case in json.loads((VECTORS / f"{family}-tiny" / "generate.json").read_text())
]


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_logits_equal_the_references(family: str) -> None:
    folder = VECTORS / f"{family}-tiny"
    stored = load_file(folder / "logits.safetensors")
    ids = stored["input_ids"][0].numpy()
    model = load_model(folder, dtype="float32", device=CUDA)
    feed = Feed(0, len(ids), len(ids), refresh=True, store=False)
    batch = pack([Segment(ids, feed, torch.arange(len(ids)).numpy())], CUDA)
    assert (model(batch).cpu() - stored["logits"][0]).abs().max() < 1e-4


@pytest.mark.parametrize(("family", "case"), CASES)
def test_generation_equals_the_references_token_by_token(family: str, case: dict) -> None:
    engine = reference_engine(family, case.get("mode", "llada"), "cuda")
    outcome = run(engine, [request_of(case)])["r"]
    assert outcome.ids == case["output"]
    if "forward_passes" in case:
        assert outcome.last.stats.forward_passes == case["forward_passes"]


def mixed_requests(n: int, vocab: int = 500) -> list[Request]:
    return [
        Request(
            str(i),
            tuple((7 * i + 13 * k) % (vocab - 20) + 16 for k in range(3 + 5 * (i % 9))),
            20 + i % 13,
            sampling=SamplingParams(temperature=(0.0, 0.8)[i % 2], top_k=(0, 40)[i % 2], seed=i),
            decoding=DecodingParams(
                strategy=list(StrategyName)[i % 3],
                block_length=(8, 16, 32, 5)[i % 4],
                threshold=0.3,
                cache=list(CacheKind)[(i // 2) % 3],
            ),
        )
        for i in range(n)
    ]


def engine_on(device: torch.device, dtype: str = "float32", **config: int) -> DFastLLMEngine:
    model = load_model(TINY, dtype=dtype, device=device)
    return DFastLLMEngine(model, EngineConfig(**{"max_model_len": 1024, **config}))


def test_answers_equal_those_of_the_cpu_in_fp32_mixed_batches() -> None:
    requests = mixed_requests(24)
    cpu = run(engine_on(CPU, max_running=24), requests)
    gpu = run(engine_on(CUDA, max_running=24), requests)
    same = sum(cpu[r.request_id].ids == gpu[r.request_id].ids for r in requests)
    # Prompts are random ids, so some confidences tie to the last bit: one flip is no error.
    assert same >= len(requests) - 1


def test_an_answer_is_the_same_alone_and_in_a_batch() -> None:
    requests = mixed_requests(16)
    together = run(engine_on(CUDA, max_running=16), requests)
    same = sum(
        run(engine_on(CUDA), [r])[r.request_id].ids == together[r.request_id].ids for r in requests
    )
    assert same >= len(requests) - 1


@pytest.mark.parametrize("apart", [False, True])
def test_caches_and_windows_change_nothing_where_the_context_is_read_causally(
    tmp_path: Path, apart: bool
) -> None:
    """By the model itself, which then verifies itself, or by another network, which verifies."""
    if apart:
        model, context = load_pair(two_network_checkpoint(tmp_path), CUDA)
    else:
        model = load_model(causal_context_checkpoint(tmp_path), dtype="float32", device=CUDA)
        context = None
    block = DecodingParams(StrategyName.THRESHOLD, 8, threshold=0.3)
    apd = DecodingParams(StrategyName.APD, r=0.9, lookahead=12)
    ways = {
        "block": [replace(block, cache=kind) for kind in CacheKind],
        "apd": [replace(apd, window=window) for window in (None, 0, 7)],
    }
    requests = [
        Request(
            f"{name} {i} {k}",
            tuple((7 * i + 13 * j) % 490 for j in range(1 + 6 * i)),
            33,
            sampling=SamplingParams(temperature=(0.0, 0.8)[i % 2], seed=i),
            decoding=decoding,
            ignore_eos=True,
        )
        for name, found in ways.items()
        for k, decoding in enumerate(found)
        for i in range(4)
    ]
    engine = DFastLLMEngine(
        model,
        EngineConfig(max_model_len=256, max_running=24),
        verifier=context or model,
        context=context,
    )
    outcomes = run(engine, requests)
    answers: dict[str, set[tuple[int, ...]]] = {}
    for request in requests:
        row = request.request_id.rsplit(" ", 1)[0]
        answers.setdefault(row, set()).add(tuple(outcomes[request.request_id].ids))
    assert len(answers) == 8
    assert sum(len(found) > 1 for found in answers.values()) <= 1  # a tie to the last bit


def test_answers_of_two_networks_equal_those_of_the_cpu(tmp_path: Path) -> None:
    folder = two_network_checkpoint(tmp_path)
    requests = [*block_rows(), *apd_rows()]
    cpu, gpu = (run(engine_of(load_pair(folder, device)), requests) for device in (CPU, CUDA))
    same = sum(cpu[r.request_id].ids == gpu[r.request_id].ids for r in requests)
    assert same >= len(requests) - 1  # a tie to the last bit


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_answers_like_single(dtype: str) -> None:
    """On prompts the model knows, where confidences are far from ties."""
    from dfastllm.tokenizer import Tokenizer

    single = engine_on(CPU)
    spec = single.spec
    tokenizer = Tokenizer.load(TINY, vocab_size=spec.vocab_size, mask_id=spec.mask_id)
    prompts = [f"What is {a} + {b}?" for a, b in ((27, 48), (13, 9), (314, 159), (55, 45))]
    requests = [
        Request(p, tuple(tokenizer.encode_chat([{"role": "user", "content": p}])), 64)
        for p in prompts
    ]
    expected = run(single, requests)
    got = run(engine_on(CUDA, dtype), requests)
    assert [got[p].ids for p in prompts] == [expected[p].ids for p in prompts]


def test_a_row_that_exceeds_device_memory_fails_alone_and_the_engine_goes_on() -> None:
    engine = engine_on(CUDA, max_running=64, max_step_tokens=65_536)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(max(free - 180 * 1024**2, 0), dtype=torch.uint8, device=CUDA)
    try:
        requests = [
            Request(str(i), tuple(range(16, 116)), 900, decoding=DecodingParams(block_length=900))
            for i in range(64)
        ]
        outcomes = run(engine, requests)
        failed = [o.last.error for o in outcomes.values() if o.last.error is not None]
        assert all(isinstance(e, RowFailed) and "memory" in str(e) for e in failed)
    finally:
        del hog
        torch.cuda.empty_cache()
    after = run(engine, [Request("after", tuple(range(16, 40)), 32)])["after"]
    assert after.last.error is None
