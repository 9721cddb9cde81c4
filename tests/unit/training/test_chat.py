"""Training rows: reproducible, well formed, and free of held-out contents."""

import re

import numpy as np
import pytest

from training.chat import BUCKETS, draw_chunk
from training.examples import is_held_out
from training.tasks.registry import mix
from training.vocabulary import ASSISTANT, BOS, EOS, EOT, load


def test_a_chunk_depends_on_its_seed_alone() -> None:
    tokenizer = load()
    first, again, other = (draw_chunk(tokenizer, mix(), seed, rows=64) for seed in (1, 1, 2))
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a.tokens, b.tokens) for a, b in zip(first, other, strict=True))


def test_rows_begin_with_bos_and_end_in_filler_after_one_answer() -> None:
    for rows, length in zip(draw_chunk(load(), mix(), 5, rows=256), BUCKETS, strict=True):
        assert rows.tokens.shape[1] == length
        for row, start in zip(rows.tokens, rows.starts, strict=True):
            assert row[0] == BOS
            assert row[start - 1] == ASSISTANT
            ends = np.flatnonzero(row[start:] == EOT)
            assert len(ends) <= 1  # none where the row was cut short on purpose
            if len(ends):
                assert (row[start + ends[0] + 1 :] == EOS).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_stream_never_shows_a_held_out_sum_not_even_in_earlier_turns(seed: int) -> None:
    tokenizer = load()
    seen = 0
    for rows in draw_chunk(tokenizer, {"add": 1.0}, seed, rows=512):
        for row in rows.tokens:
            text = tokenizer.decode(row.tolist(), skip_special_tokens=False)
            for a, b in re.findall(r"assistant\|>(\d+) \+ (\d+) = ", text):
                low, high = sorted((int(a), int(b)))
                seen += 1
                assert high <= 10 or not is_held_out("add", f"{low}+{high}")
    assert seen > 500
