"""The engine against what the published reference implementations computed."""

import json

import pytest
import torch
from safetensors.torch import load_file

from dfastllm.cache.policy import Feed
from dfastllm.models.batch import Segment, pack
from dfastllm.models.checkpoint import load_model
from support.reference import VECTORS, reference_engine, request_of, run

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
    model = load_model(folder, device=torch.device("cpu"))
    length = len(ids)
    feed = Feed(0, length, length, refresh=True, store=False)
    batch = pack([Segment(ids, feed, torch.arange(length).numpy())], torch.device("cpu"))
    assert (model(batch) - stored["logits"][0]).abs().max() < 1e-4


@pytest.mark.parametrize(("family", "case"), CASES)
def test_generation_equals_the_references_token_by_token(family: str, case: dict) -> None:
    engine = reference_engine(family, case.get("mode", "llada"))
    outcome = run(engine, [request_of(case)])["r"]
    assert outcome.last.error is None
    assert outcome.ids == case["output"]
    assert outcome.last.stats is not None
    if "forward_passes" in case:
        assert outcome.last.stats.forward_passes == case["forward_passes"]


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_all_runs_in_one_batch_equal_the_references_too(family: str) -> None:
    cases = [c for f, c in CASES if f == family and c.get("mode") != "block"]
    engine = reference_engine(family, cases[0].get("mode", "llada"))
    requests = [request_of(case, str(i)) for i, case in enumerate(cases)]
    outcomes = run(engine, requests)
    assert [outcomes[str(i)].ids for i in range(len(cases))] == [c["output"] for c in cases]
