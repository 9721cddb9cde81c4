"""Rows of different shapes share an attention call on a GPU; what each gets stays its own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import KVPool
from dfastllm.models.batch import Segment, pack
from dfastllm.models.checkpoint import load_model
from support.causal_context import causal_context_checkpoint
from support.reference import VECTORS

CPU = torch.device("cpu")
# start, end, K/V length, causal until: prompts, blocks after a context, drafts after drafts
SHAPES = ((0, 40, 40, 32), (0, 21, 21, 13), (12, 21, 21, 13), (30, 38, 38, 32), (31, 40, 40, 40),
          (0, 3, 3, 0), (5, 12, 12, 5), (0, 90, 90, 60))  # fmt: skip


@pytest.fixture(params=("causal context", "bidirectional"))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "bidirectional":
        return VECTORS / "dream-tiny"
    return causal_context_checkpoint(tmp_path)


def test_filled_up_rows_compute_what_they_compute_alone(folder: Path) -> None:
    model = load_model(folder, device=CPU)
    spec = model.spec
    pool = KVPool(n_layers=spec.n_layers, n_pages=64, n_kv_heads=spec.n_kv_heads,
                  head_dim=spec.head_dim, dtype=torch.float32, device=CPU)  # fmt: skip
    rng = np.random.default_rng(0)
    segments = []
    for start, end, kv_len, until in SHAPES:
        pages = pool.take(3)
        assert pages is not None
        tokens = rng.integers(3, 400, end)
        whole = Feed(0, end, end, refresh=True, store=True, causal_until=until)
        model(pack([Segment(tokens, whole, np.arange(1), pages)], CPU), pool)
        feed = Feed(start, end, kv_len, refresh=start == 0, store=True, causal_until=until)
        segments.append(Segment(tokens[start:], feed, np.arange(start, end), pages))
    uncached = Feed(0, 21, 21, refresh=True, store=False, causal_until=13)
    segments.append(Segment(rng.integers(3, 400, 21), uncached, np.arange(21)))
    filled = pack(segments, CPU, fill=True)
    plain = pack(segments, CPU, fill=False)
    assert len(filled.groups) < len(plain.groups)
    torch.testing.assert_close(model(filled, pool), model(plain, pool), rtol=1e-4, atol=1e-4)
