"""What may be trained on: nothing the suites ask, no loops, no foreign letters."""

from random import Random

import pytest

from training.smol import prompts, sanity, talk
from training.smol.facts import Fact, all_facts, plain, suite_questions
from training.smol.schedule import STAGES
from training.smol.vocabulary import chat


def test_no_question_of_the_suites_is_trained_on() -> None:
    asked = suite_questions()
    facts = all_facts(asked)
    assert len(facts) > 1000
    assert not asked & {plain(fact.question) for fact in facts}


def test_a_fact_is_held_out_in_every_wording() -> None:
    facts = all_facts(frozenset({"what is the capital of portugal"}))
    assert not any("Portugal" in fact.question and "capital" in fact.question for fact in facts)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The capital is Lima.", True),
        ("It is climate.", False),
        ("lima", True),
        ("Limassol", False),
    ],
)
def test_a_fact_is_a_whole_word(text: str, right: bool) -> None:
    assert Fact("What is the capital of Peru?", ("Lima",)).accepts(text) == right


def test_loops_and_repeated_items_are_poor() -> None:
    assert sanity.repeated([1, 2, 3, 4, 5, 6]) == 0
    assert sanity.repeated([1, 2, 3] * 5) > 0.5
    assert sanity.repeats_a_line("1. A red apple\n2. A pear\n3. A red apple")
    assert not sanity.repeats_a_line("1. A red apple\n2. A pear")
    assert not sanity.is_worth_learning("What is tea?", "Это чай и вода.", [1, 2, 3])
    assert sanity.is_worth_learning("What is tea?", "A drink made of leaves.", [1, 2, 3, 4])


def test_the_chat_format_ends_where_the_assistant_speaks() -> None:
    text = chat([("Hi", "Hello"), ("Bye", "")], system="Be kind.")
    assert text.startswith(
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    )
    assert text.endswith("<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n")


def test_questions_and_talk_are_drawn_the_same_for_a_seed() -> None:
    assert prompts.everyday(Random(3)) == prompts.everyday(Random(3))
    assert talk.talk(Random(3)) == talk.talk(Random(3))
    assert any(talk.NAME in talk.talk(Random(seed))[1] for seed in range(40))


def test_stages_warm_up_and_fall_to_where_the_next_takes_on() -> None:
    held, falling, last = (
        [STAGES[stage].share_at(step, 1000) for step in range(1000)] for stage in (1, 2, 3)
    )
    assert held[0] < 0.1
    assert held[-1] == 1
    assert falling[40] > 0.9
    assert falling[-1] == 0.12
    assert max(last) < 0.3
    assert last[-1] < 0.01
