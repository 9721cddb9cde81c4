"""The published loops' quirks, so that the engine can be compared with what they computed.

None of this is in what users get: the references take the mask token as a candidate, Dream's full
loop commits nothing where its quota rounds to zero, and Fast-dLLM's Dream loop commits a block's
first token from the refresh, whatever its confidence, and then feeds the block without the position
before it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from dfastllm.cache.policy import CachePolicy
from dfastllm.core import DecodingParams, Delta, Request, SamplingParams, TokenLogprob
from dfastllm.decoding.confidence import Threshold
from dfastllm.decoding.fixed import Fixed
from dfastllm.decoding.schedule import EPS, linear_quota
from dfastllm.decoding.strategy import BlockView, Choice, RowView, Strategy
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.models.checkpoint import load_model

VECTORS = Path(__file__).parent.parent / "vectors"


def dream_quota(row: RowView) -> int:
    """Dream's quota as published: the floor, also where it is 0; everything in the last step."""
    if row.step + 1 >= row.steps:
        return row.masks_left
    grid = torch.linspace(1, EPS, row.steps + 1)
    return int(row.masks_left * (1 - grid[row.step + 1] / grid[row.step]))


class IdleFixed(Fixed):
    """A fixed quota that may be 0 in a step."""

    may_idle: ClassVar[bool] = True


class FirstThenThreshold(Strategy):
    """Fast-dLLM's Dream loop: the refresh commits the block's first token and nothing else."""

    name: ClassVar[str] = "threshold"

    def choose(self, view: BlockView) -> Choice:
        # The reference compares the filtered probability, which is what `score` ranks by here.
        commit = Threshold().choose(replace(view, confidence=view.score)).commit
        for r, row in enumerate(view.rows):
            if row.step == 0:
                commit[r] = False
                commit[r, 0] = True
        return Choice(commit)


def reference_engine(family: str, mode: str, device: str = "cpu") -> DFastLLMEngine:
    """An engine that reproduces the reference's runs of `tests/vectors/<family>-tiny`."""
    model = load_model(VECTORS / f"{family}-tiny", dtype="float32", device=torch.device(device))
    object.__setattr__(model.spec, "forbidden_ids", ())
    rules: Mapping[str, Strategy] = {
        "fixed": IdleFixed(dream_quota if mode == "full" else linear_quota),
        "threshold": FirstThenThreshold() if mode == "block" else Threshold(),
    }
    return DFastLLMEngine(model, EngineConfig(max_model_len=512), rules=rules, policy=CachePolicy())


@dataclass
class Outcome:
    """What became of one request."""

    tokens: list[TokenLogprob]
    last: Delta
    deltas: int

    @property
    def ids(self) -> list[int]:
        return [t.token for t in self.tokens]


def run(engine: DFastLLMEngine, requests: Iterable[Request]) -> dict[str, Outcome]:
    """Run requests to their end; by request id."""
    requests = list(requests)
    engine.add(requests)
    return drain(engine, [r.request_id for r in requests])


def drain(engine: DFastLLMEngine, ids: Iterable[str]) -> dict[str, Outcome]:
    """Step until every request of `ids` has ended."""
    open_ids = set(ids)
    outcomes = {i: Outcome([], Delta(i), 0) for i in open_ids}
    for _ in range(100_000):
        if not open_ids:
            return outcomes
        for delta in engine.step():
            outcome = outcomes[delta.request_id]
            outcome.tokens.extend(delta.tokens)
            outcome.last = delta
            outcome.deltas += 1
            if delta.done:
                open_ids.discard(delta.request_id)
    raise AssertionError(f"never ended: {open_ids}")


def request_of(case: Mapping[str, Any], request_id: str = "r") -> Request:
    """The request that a run of `generate.json` describes."""
    length = case["gen_length"]
    threshold = case.get("threshold")
    remasking = {"topk_margin": "topk_margin", "entropy": "entropy"}.get(
        case.get("alg", ""), "low_confidence"
    )
    params: dict[str, Any] = {
        "strategy": "fixed" if threshold is None else "threshold",
        "block_length": case.get("block_length", length),
        "steps": case.get("steps") if threshold is None else None,
        "threshold": threshold or 0.9,
        "remasking": remasking,
        "cache": case.get("cache", "none"),
    }
    return Request(
        request_id=request_id,
        prompt=tuple(case["prompt"]),
        max_tokens=length,
        decoding=_decoding(params),
        # transformers' own default, which Dream's loop took over: it filters confidences at T=0 too
        sampling=SamplingParams(top_k=50 if "mode" in case else 0),
        ignore_eos=True,
    )


def _decoding(params: dict[str, Any]) -> DecodingParams:
    from dfastllm.core import CacheKind, Remasking, StrategyName

    return DecodingParams(
        strategy=StrategyName(params["strategy"]),
        block_length=params["block_length"],
        steps=params["steps"],
        threshold=params["threshold"],
        remasking=Remasking(params["remasking"]),
        cache=CacheKind(params["cache"]),
    )
