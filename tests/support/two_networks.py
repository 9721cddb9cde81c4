"""A model and the network that reads its context, an engine of both, and rows of every kind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dfastllm.core import CacheKind, DecodingParams, Request, SamplingParams, StrategyName
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.models.checkpoint import load_model
from dfastllm.models.context import load_context
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.transformer import Transformer

CPU = torch.device("cpu")
WINDOWS = (None, 0, 7)
APD = DecodingParams(StrategyName.APD)
WEIGHTS = ((0.0, 4), (0.5, 8), (0.9, 16), (0.97, None), (1.0, 5), (0.8, 1))  # r, look-ahead
BLOCK_RULES = [
    DecodingParams(StrategyName.FIXED, 8),
    DecodingParams(StrategyName.THRESHOLD, 16, threshold=0.3),
    DecodingParams(StrategyName.FACTOR, 5, factor=1.6),
    DecodingParams(StrategyName.FIXED, 16, steps=9),
]

Network = Transformer[NetworkSpec]
Pair = tuple[Transformer, Network]


def load_pair(folder: Path, device: torch.device = CPU) -> Pair:
    model = load_model(folder, dtype="float32", device=device)
    context = load_context(folder, model)
    assert context is not None
    return model, context.network


def engine_of(pair: Pair, verifier: Network | None = None, **options: Any) -> DFastLLMEngine:
    """Where nothing else is said, the context network verifies."""
    model, context = pair
    observer = options.pop("observer", None)
    config = EngineConfig(**{"max_model_len": 256, "max_running": 32, **options})
    return DFastLLMEngine(
        model, config, verifier=verifier or context, context=context, observer=observer
    )


def prompt(i: int) -> tuple[int, ...]:
    """1, 7, 13, ... tokens."""
    return tuple(np.random.default_rng(i).integers(0, 490, 1 + 6 * i).tolist())


def ask(name: str, i: int, decoding: DecodingParams, **changes: Any) -> Request:
    sampling = SamplingParams(temperature=(0.0, 0.8)[i % 2], top_k=(0, 40)[i % 2], seed=i)
    usual = {"max_tokens": 33, "sampling": sampling, "ignore_eos": True}
    return Request(name, prompt(i), decoding=decoding, **{**usual, **changes})


def block_rows() -> list[Request]:
    """The same four rows under every cache; the first has one token of prompt."""
    return [
        ask(f"block {i} {kind}", i, replace(rule, cache=kind, lookahead=(None, 4)[i % 2]))
        for i, rule in enumerate(BLOCK_RULES)
        for kind in CacheKind
    ]


def apd_rows() -> list[Request]:
    """The same rows of adaptive parallel decoding under every window."""
    return [
        ask(f"apd {i} {window}", i, replace(APD, r=r, lookahead=lookahead, window=window))
        for i, (r, lookahead) in enumerate(WEIGHTS)
        for window in WINDOWS
    ]
