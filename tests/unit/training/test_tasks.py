"""Every task draws right answers, refuses wrong ones, and keeps its held-out contents apart."""

from random import Random

import pytest

from training.examples import Group, Split, is_held_out
from training.tasks import choices, grids, numerals
from training.tasks.registry import FOREIGN_SHARE, MANY_SHARE, TASKS, mix


@pytest.mark.parametrize("name", TASKS)
def test_a_task_accepts_its_own_answers_and_no_spoilt_ones(name: str) -> None:
    rng = Random(name)
    for _ in range(25):
        example = TASKS[name].draw(rng, Split.ANY)
        assert example.prompt
        assert example.accepts(example.answer)
        assert not example.accepts(example.answer + "x")
        assert not example.accepts("")


@pytest.mark.parametrize("name", TASKS)
def test_training_and_held_out_contents_are_disjoint(name: str) -> None:
    rng = Random(name)
    trained = {TASKS[name].draw(rng, Split.TRAIN).content for _ in range(60)}
    held_out = {TASKS[name].draw(rng, Split.HELD_OUT).content for _ in range(5)}
    assert not (trained & held_out) - {""}
    assert all(is_held_out(name, content) for content in held_out - {""})


def test_numbers_below_a_hundred_are_never_held_out_of_number_words() -> None:
    rng = Random(0)
    for name in ("number_to_words", "words_to_number", "parity", "roman"):
        for _ in range(300):
            content = TASKS[name].make(rng).content
            assert content == "" or int(content) >= 100


def test_a_shuffle_may_have_any_order_but_every_item_once() -> None:
    example = choices.shuffle(Random(3))
    items = example.answer.split(", ")
    assert example.accepts(", ".join(sorted(items)))
    assert not example.accepts(", ".join([*items[:-1], items[0]]))
    assert not example.accepts(", ".join(items[:-1]))


def test_a_sum_may_have_any_terms_that_add_up() -> None:
    rng = Random(1)
    example = next(e for e in iter(lambda: choices.make_sum(rng), None) if "/2" in e.content)
    total = int(example.content.split("/")[0])
    assert example.accepts(f"1 + {total - 1} = {total}")
    assert not example.accepts(f"1 + {total} = {total}")
    assert not example.accepts(f"1 + 1 + {total - 2} = {total}")


def test_there_are_288_finished_grids_and_a_wrong_one_is_refused() -> None:
    assert len(grids.all_grids()) == 288
    assert all(map(grids.is_solved, grids.all_grids()))
    assert not grids.is_solved("1234341221434312")


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (14, "fourteen"), (40, "forty"), (99, "ninety-nine"), (300, "three hundred"),
     (4021, "four thousand twenty-one")],
)  # fmt: skip
def test_numbers_are_written_in_words(number: int, words: str) -> None:
    assert numerals.in_words(number) == words


def test_roman_numerals_subtract_where_they_should() -> None:
    assert [numerals.in_roman(n) for n in (4, 9, 49, 399)] == ["IV", "IX", "XLIX", "CCCXCIX"]


def test_the_mix_gives_each_group_its_share_whatever_is_boosted() -> None:
    shares = mix({"add": 5.0, "shuffle": 3.0})
    many = sum(share for name, share in shares.items() if TASKS[name].group is Group.MANY)
    assert sum(shares.values()) == pytest.approx(1)
    assert many == pytest.approx(MANY_SHARE)
    assert shares["foreign"] == pytest.approx(FOREIGN_SHARE)
