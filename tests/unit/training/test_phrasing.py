"""Untidy wording never changes the content of a prompt."""

from random import Random

from training.phrasing import phrase, roughen, typo

TEMPLATE = "Sort these numbers: {x}."


def test_slots_survive_any_roughness() -> None:
    rng = Random(0)
    assert all("{x}" in roughen(rng, TEMPLATE) for _ in range(300))
    assert all("3, 1, 2" in phrase(rng, (TEMPLATE,), x="3, 1, 2") for _ in range(300))


def test_about_a_third_of_prompts_are_untidy() -> None:
    rng = Random(0)
    plain = TEMPLATE.replace("{x}", "1")
    changed = sum(phrase(rng, (TEMPLATE,), x="1") != plain for _ in range(2000))
    assert 0.2 < changed / 2000 < 0.36


def test_a_typo_changes_one_word_and_never_a_slot() -> None:
    rng = Random(0)
    for _ in range(200):
        words, before = typo(rng, TEMPLATE).split(), TEMPLATE.split()
        assert len(words) == len(before)
        assert sum(a != b for a, b in zip(words, before, strict=True)) <= 1
        assert words[-1] == before[-1]


def test_text_that_looks_like_a_slot_stays_in_the_content() -> None:
    assert "{x} {y}" in phrase(Random(2), ("{x}",), x="{x} {y}")
