"""What the two streams of a training row see, hide and ask for."""

import pytest
import torch

from training.smol.base import Base
from training.smol.network import hidden, weights_of
from training.smol.pool import Batch
from training.smol.streams import (
    BLOCKS,
    COPIED,
    Layout,
    Streams,
    layout,
    size_of,
    two_streams,
)
from training.smol.vocabulary import END, END_OF_TEXT, MASK

LENGTH = 128
STARTS = (5, 12, 30, 40)
TEXTS = (40, 70, 20, 3)  # answer tokens, the end of turn included


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(30, 270, (len(STARTS), LENGTH), generator=generator)
    for row, (start, text) in enumerate(zip(STARTS, TEXTS, strict=True)):
        tokens[row, start + text - 1] = END
        tokens[row, start + text :] = END_OF_TEXT
    return Batch(tokens, torch.tensor(STARTS), len(STARTS))


def drawn(cut: float, size: int = 32, first: int = 0) -> Streams:
    blocks = Layout(torch.full((len(STARTS),), size), torch.full((len(STARTS),), first))
    return two_streams(batch(), blocks, cut, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cut", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("size", "first"), [(16, 0), (32, 7), (64, 2)])
def test_what_is_seen_is_what_decoding_shows(cut: float, size: int, first: int) -> None:
    streams, rows = drawn(cut, size, first), batch()
    sees = streams.sees[:, 0]
    assert sees.shape[-1] == size_of(LENGTH)
    for row, start in enumerate(STARTS):
        for slot in range(0, COPIED[LENGTH], 5):
            begin = start + first + slot // size * size
            seen = sees[row, LENGTH + slot].nonzero()[:, 0].tolist()
            block = range(slot // size * size, min((slot // size + 1) * size, COPIED[LENGTH]))
            assert seen == [*range(min(begin, LENGTH)), *(LENGTH + at for at in block)]
        assert torch.equal(sees[row, :LENGTH, :LENGTH], torch.ones(LENGTH, LENGTH).bool().tril())
        assert not sees[row, :LENGTH, LENGTH:].any()
    assert torch.equal(streams.inputs[:, :LENGTH], rows.tokens)


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_only_masked_answers_and_first_positions_of_blocks_with_text_count(cut: float) -> None:
    streams, rows = drawn(cut, 16, 3), batch()
    masked = streams.inputs[:, LENGTH:] == MASK
    for row, (start, text) in enumerate(zip(STARTS, TEXTS, strict=True)):
        for slot in range(COPIED[LENGTH]):
            place, lead = start + 3 + slot, slot % 16 == 0
            counts = bool(streams.weights[row, slot] > 0)
            in_text = slot // 16 * 16 + 3 < text and place < LENGTH
            assert counts == (in_text and (lead or bool(masked[row, slot])))
            if counts:
                assert streams.targets[row, slot] == rows.tokens[row, place]
                assert streams.before[row, slot] == place - 1
                assert streams.source[row, slot] == (place - 1 if lead else LENGTH + slot - 1)


def test_behind_a_cut_nothing_stands(base: Base) -> None:
    streams = drawn(1.0)
    masked = (streams.inputs[:, LENGTH:] == MASK).view(len(STARTS), -1, 32)
    assert bool((masked[..., 1:] >= masked[..., :-1]).all())
    assert bool(masked[..., 31].all())


def test_the_first_position_of_a_block_is_said_by_the_base_itself(base: Base) -> None:
    model, rows = weights_of(base, torch.float32), batch()
    streams = drawn(0.5, 16, 2)
    bias = torch.zeros(streams.sees.shape).masked_fill(~streams.sees, -torch.inf)
    states = hidden(model, streams.inputs, bias, positions=streams.positions)
    causal = hidden(model, rows.tokens, causal=True)
    torch.testing.assert_close(states[:, :LENGTH], causal)
    assert bool(streams.known[:, ::16][streams.targets[:, ::16] != END_OF_TEXT].all())


def test_a_block_alone_reads_as_it_does_among_others(base: Base) -> None:
    """Each block of the copy: the same states as a row of its context and itself."""
    model, streams = weights_of(base, torch.float32), drawn(0.3, 32, 4)
    bias = torch.zeros(streams.sees.shape).masked_fill(~streams.sees, -torch.inf)
    states = hidden(model, streams.inputs, bias, positions=streams.positions)
    for row, start in enumerate(STARTS):
        begin = start + 4 + 32
        alone = torch.cat((streams.inputs[row, :begin], streams.inputs[row, LENGTH + 32 :][:32]))
        place = torch.arange(len(alone))
        sees = (place[:, None] >= place) | ((place >= begin)[:, None] & (place >= begin))
        bias = torch.zeros(sees.shape).masked_fill(~sees, -torch.inf)
        expected = hidden(model, alone[None], bias[None, None])[0, begin:]
        torch.testing.assert_close(states[row, LENGTH + 32 : LENGTH + 64], expected)


def test_blocks_are_drawn_from_what_decoding_uses() -> None:
    rows = batch()
    many = Batch(rows.tokens.repeat(200, 1), rows.starts.repeat(200), 0)
    blocks = layout(many, torch.Generator().manual_seed(1))
    assert set(blocks.size.tolist()) == set(BLOCKS)
    assert 0.3 < (blocks.first == 0).float().mean() < 0.7
    assert bool((blocks.first < torch.tensor(TEXTS).repeat(200)).all())
