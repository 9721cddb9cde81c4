"""What a training row shows, hides and asks for."""

import pytest
import torch

from training.smol.base import Base
from training.smol.network import fill, read, weights_of
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


def slots(streams: Streams, row: int, size: int) -> list[tuple[int, int]]:
    """(block, place in it; 0: the lead) of every slot."""
    return [divmod(slot, size + 1) for slot in range(streams.inputs.shape[1])]


@pytest.mark.parametrize("cut", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("size", "first"), [(16, 0), (32, 7), (64, 2)])
def test_what_is_seen_is_what_decoding_shows(cut: float, size: int, first: int) -> None:
    streams = drawn(cut, size, first)
    sees = streams.sees[:, 0]
    assert sees.shape == (len(STARTS), COPIED[LENGTH], size_of(LENGTH))
    for row, start in enumerate(STARTS):
        for slot, (block, _) in list(enumerate(slots(streams, row, size)))[::5]:
            lead = start + first + block * size - 1
            seen = sees[row, slot].nonzero()[:, 0].tolist()
            own = range(block * (size + 1), min((block + 1) * (size + 1), COPIED[LENGTH]))
            assert seen == [*range(min(lead, LENGTH)), *(LENGTH + at for at in own)]


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_only_masked_answers_in_blocks_with_text_count(cut: float) -> None:
    streams, rows = drawn(cut, 16, 3), batch()
    masked = streams.inputs == MASK
    for row, (start, text) in enumerate(zip(STARTS, TEXTS, strict=True)):
        for slot, (block, inside) in enumerate(slots(streams, row, 16)):
            place = start + 3 + block * 16 + inside  # what this slot speaks about
            last = inside == 16 or slot + 1 == COPIED[LENGTH]
            asked = not last and bool(masked[row, slot + 1])
            in_text = block * 16 + 3 < text and place < LENGTH
            assert bool(streams.weights[row, slot] > 0) == (asked and in_text)
            assert streams.positions[row, slot] == place - 1
            stands = rows.tokens[row, place - 1] if place <= LENGTH else END_OF_TEXT
            assert masked[row, slot] or streams.inputs[row, slot] == stands
            if asked and in_text:
                assert streams.targets[row, slot] == rows.tokens[row, place]


def test_a_lead_is_never_masked_and_behind_a_cut_nothing_stands() -> None:
    streams = drawn(1.0)
    masked = (streams.inputs == MASK)[:, : 3 * 33].view(len(STARTS), -1, 33)
    assert not masked[..., 0].any()
    assert bool((masked[..., 2:] >= masked[..., 1:-1]).all())
    assert bool(masked[..., 32].all())
    judged = streams.weights > 0
    assert torch.equal(streams.known, judged & (streams.targets != END_OF_TEXT))
    assert not drawn(0.0).known.any()


def test_a_block_alone_reads_as_it_does_among_others(base: Base) -> None:
    """Each block of the copy: the same states as with nothing but its own context."""
    model, streams, rows = weights_of(base, torch.float32), drawn(0.3, 32, 4), batch()
    _, context = read(model, rows.tokens)
    states = fill(model, streams.inputs, streams.positions, bias_of(streams.sees), context)
    for row, start in enumerate(STARTS):
        lead = start + 4 + 32 - 1
        _, before = read(model, rows.tokens[row : row + 1, :lead])
        everything = torch.zeros(1, 1, 33, lead + 33)
        part = slice(33, 66)
        own = fill(
            model, streams.inputs[row : row + 1, part], streams.positions[row : row + 1, part],
            everything, before,
        )  # fmt: skip
        torch.testing.assert_close(states[row, part], own[0])


def test_without_masks_or_a_future_a_block_reads_as_clean_text(base: Base) -> None:
    model, rows = weights_of(base, torch.float32), batch()
    clean, context = read(model, rows.tokens)
    positions = torch.arange(40, 60).expand(len(STARTS), -1)
    causal = torch.ones(20, 20).tril().bool()
    sees = torch.cat((torch.arange(LENGTH).expand(20, -1) < 40, causal), dim=1)
    bias = bias_of(sees.expand(len(STARTS), 1, -1, -1))
    states = fill(model, rows.tokens[:, 40:60], positions, bias, context)
    torch.testing.assert_close(states, clean[:, 40:60])


def bias_of(sees: torch.Tensor) -> torch.Tensor:
    return torch.zeros(sees.shape).masked_fill(~sees, -torch.inf)


def test_blocks_are_drawn_from_what_decoding_uses() -> None:
    rows = batch()
    many = Batch(rows.tokens.repeat(200, 1), rows.starts.repeat(200), 0)
    blocks = layout(many, torch.Generator().manual_seed(1))
    assert set(blocks.size.tolist()) == set(BLOCKS)
    assert 0.3 < (blocks.first == 0).float().mean() < 0.7
    assert bool((blocks.first < torch.tensor(TEXTS).repeat(200)).all())
