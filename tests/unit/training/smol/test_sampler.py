"""The cached writer says what the whole network says, and keeps to the chat format."""

import pytest
import torch

from training.smol import sampler as sampler_module
from training.smol.base import Base
from training.smol.network import logits_of, read, weights_of
from training.smol.sampler import GREEDY, Job, Sampler, Written
from training.smol.vocabulary import END, UNUSED

SUFFIX = [150, 151, 152]


def finish(writer: Sampler, jobs: list[Job]) -> list[Written]:
    writer.give(list(enumerate(jobs)))
    found: dict[int, Written] = {}
    while len(found) < len(jobs):
        writer.launch()
        found |= dict(writer.collect())
    return [found[row] for row in range(len(jobs))]


def test_greedy_writing_follows_the_whole_network(base: Base) -> None:
    model = weights_of(base, torch.float32)
    writer = Sampler(model, rows=3, length=64, suffix=SUFFIX)
    written = finish(writer, [Job([20 + row, 30, 40][: 2 + row % 2], False, GREEDY)
                              for row in range(3)])  # fmt: skip
    for one in written:
        tokens = torch.tensor([one.tokens])
        logits = logits_of(model, read(model, tokens)[0])[0]
        logits[:, list(UNUSED)] = -torch.inf
        assert logits.argmax(-1)[one.start - 1 : -1].tolist() == one.tokens[one.start :]


def test_an_open_user_turn_is_closed_before_the_answer(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(sampler_module, "ANSWER_LIMIT", 20)
    model = weights_of(base, torch.float32)
    # An end of turn that is as likely as anything, so that turns do end.
    model.embedding[END] = model.embedding[40:60].sum(0)
    writer = Sampler(model, rows=16, length=128, suffix=SUFFIX)
    written = finish(writer, [Job([20, 30], True) for _ in range(16)])
    asked = [one for one in written if one.start > 2]
    assert asked
    for one in asked:
        assert one.tokens[one.start - 4 : one.start] == [END, *SUFFIX]
        assert not set(one.tokens[2:]) & (set(UNUSED) - {END})
    assert all(one.tokens[-1] == END for one in asked if one.ended)


def test_a_row_goes_on_behind_what_it_has_written(base: Base) -> None:
    model = weights_of(base, torch.float32)
    writer = Sampler(model, rows=1, length=96, suffix=SUFFIX)
    writer.limit.fill_(0)
    (first,) = finish(writer, [Job([20, 30], False, GREEDY)])
    given = [*first.tokens[:40], 33, 34]
    writer.at.fill_(39)
    writer.give([(0, Job(given, False, GREEDY))], keep=True)
    found: list[Written] = []
    while not found:
        writer.launch()
        found = [written for _, written in writer.collect()]
    (fresh,) = finish(Sampler(model, 1, 96, SUFFIX), [Job(given, False, GREEDY)])
    assert found[0].tokens == fresh.tokens
