"""The English model's tasks: each knows its answers, twins share their held-out contents."""

import json
from random import Random

import pytest

from training.examples import Group, Split, is_held_out
from training.tasks import inventions, lines, rewording, squares
from training.tasks.registry import TASKS, mix
from training.tasks.wide import LEFT_OUT, PAIRS, WIDE_TASKS, wide_mix

NEW = [name for name in WIDE_TASKS if name not in TASKS]


@pytest.mark.parametrize("name", NEW)
def test_a_task_accepts_its_own_answers_and_no_spoilt_ones(name: str) -> None:
    rng = Random(name)
    for _ in range(60):
        example = WIDE_TASKS[name].draw(rng, Split.ANY)
        assert example.prompt
        assert example.content
        assert example.accepts(example.answer), example
        assert not example.accepts(example.answer + "x1")
        assert not example.accepts("")


@pytest.mark.parametrize("name", NEW)
def test_training_and_held_out_contents_are_disjoint(name: str) -> None:
    rng, task = Random(name), WIDE_TASKS[name]
    trained = {task.draw(rng, Split.TRAIN).content for _ in range(60)}
    held_out = {task.draw(rng, Split.HELD_OUT).content for _ in range(5)}
    assert not trained & held_out
    assert all(is_held_out(task.family or name, content) for content in held_out)


def test_a_pair_is_a_fixed_and_an_open_order_over_the_same_held_out_contents() -> None:
    for fixed, free in PAIRS:
        assert WIDE_TASKS[fixed].group is Group.ONE
        assert WIDE_TASKS[free].group is Group.MANY
        assert WIDE_TASKS[fixed].family == WIDE_TASKS[free].family != ""


def test_the_small_models_mix_knows_nothing_of_the_new_tasks() -> None:
    assert not set(NEW) & set(mix())
    assert len(TASKS) == len(mix())


def test_what_a_base_model_knows_and_what_the_small_one_says_of_itself_is_left_out() -> None:
    assert not LEFT_OUT & set(WIDE_TASKS)
    assert set(TASKS) >= LEFT_OUT


def test_the_share_of_tasks_with_many_answers_is_kept() -> None:
    shares = wide_mix(0.5, {"assign": 4.0})
    many = sum(share for n, share in shares.items() if WIDE_TASKS[n].group is Group.MANY)
    assert sum(shares.values()) == pytest.approx(1)
    assert many == pytest.approx(0.5)


def test_a_shuffled_line_is_another_order_of_the_same_people() -> None:
    example = lines.shuffle(Random(1))
    people = example.content.split(", ")
    assert example.accepts(", ".join(people[::-1]))
    assert not example.accepts(example.content)
    assert not example.accepts(", ".join([*people[:-1], people[0]]))


def test_somebody_replaced_at_random_is_one_person_and_no_more() -> None:
    example = lines.replace_any(Random(2))
    people = example.content.split(", ")
    (new,) = set(example.answer.split(", ")) - set(people)
    for spot in range(len(people)):
        assert example.accepts(", ".join([*people[:spot], new, *people[spot + 1 :]]))
    assert not example.accepts(", ".join([new, new, *people[2:]]))
    assert not example.accepts(example.content)


def test_two_who_swap_are_two_and_no_more() -> None:
    example = lines.swap_any(Random(3))
    people = example.content.split(", ")
    assert example.accepts(", ".join([people[1], people[0], *people[2:]]))
    assert not example.accepts(", ".join([*people[1:], people[0]]))


def test_a_bill_may_have_any_prices_that_add_up() -> None:
    example = inventions.invent_bill(Random(4))
    first, second, _ = json.loads(example.answer)
    assert example.accepts(json.dumps({first: 2, second: 3, "total": 5}))
    assert not example.accepts(json.dumps({first: 2, second: 3, "total": 6}))
    assert not example.accepts(json.dumps({first: 2, second: 900, "total": 902}))


def test_nobody_gets_what_another_has() -> None:
    example = inventions.assign(Random(5))
    pairs = [part.split(": ") for part in example.answer.split(", ")]
    twice = ", ".join(f"{who}: {pairs[0][1]}" for who, _ in pairs)
    assert not example.accepts(twice)


def test_letters_that_must_agree_have_a_twin_that_need_not() -> None:
    free, bound = inventions.letters_free(Random(6)), inventions.letters_exactly(Random(6))
    count, one, _ = free.content.split("/")
    assert free.accepts(" ".join([one] * int(count)))
    count, one, other, ones = bound.content.split("/")
    letters = [one] * int(ones) + [other] * (int(count) - int(ones))
    assert bound.accepts(" ".join(letters[::-1]))
    assert not bound.accepts(" ".join([one] * int(count)))


def test_there_are_576_latin_squares_and_a_wrong_one_is_refused() -> None:
    assert len(squares.all_squares()) == 576
    assert all(map(squares.is_latin, squares.all_squares()))
    assert not squares.is_latin("0123" * 4)


def test_a_reworded_sentence_keeps_its_parts_and_is_no_copy() -> None:
    example = rewording.reword(Random(7))
    assert not example.accepts(example.content)
    assert not example.accepts("This is about something else.")
    assert not example.accepts(f"{example.answer[:-1]} {example.answer}")
