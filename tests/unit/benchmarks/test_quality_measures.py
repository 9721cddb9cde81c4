"""Figures of a quality run: shares, ratios of sums and their intervals."""

import pytest

from benchmarks.quality_measures import bootstrap, kept_answers, measure, repeated_trigrams, wilson
from benchmarks.quality_partners import Answer
from benchmarks.quality_suites import SHORT, Question


def question(kind: str = "x", right: str | None = "yes") -> Question:
    judge = None if right is None else lambda text: bool(text == right)
    return Question(kind, [{"role": "user", "content": "?"}], judge)


def test_a_score_is_a_share_in_per_cent_with_its_interval() -> None:
    answers = [Answer("yes", 2, 1, ended=True)] * 9 + [Answer("no", 2, 1, ended=False)]
    row = measure([question()] * 10, answers, 2.0)
    assert row["score"] == 90.0
    assert row["score_interval"] == [59.6, 98.2]
    assert row["ended"] == 90.0
    assert row["tokens_per_s"] == 10.0


def test_tokens_per_forward_pool_all_answers() -> None:
    answers = [Answer("yes", 20, 1, ended=True), Answer("yes", 4, 5, ended=True)]
    row = measure([question()] * 2, answers, 1.0)
    assert row["tokens_per_forward"] == 4.0


def test_a_server_that_counts_no_forwards_has_no_tokens_per_forward() -> None:
    row = measure([question()], [Answer("yes", 20, 0, ended=True)], 1.0)
    assert "tokens_per_forward" not in row


def test_what_a_verifier_did_is_told_apart_from_the_forwards() -> None:
    answer = Answer("yes", 8, 2, ended=True, verifier_passes=3, drafted=16, accepted=8)
    row = measure([question()], [answer], 1.0)
    assert (row["tokens_per_forward"], row["verifier_passes"], row["accepted"]) == (4, 1.5, 0.5)


def test_passes_of_a_context_network_are_told_apart_too() -> None:
    answers = [Answer("yes", 8, 4, ended=True, context_passes=passes) for passes in (1, 2)]
    row = measure([question()] * 2, answers, 1.0)
    assert (row["tokens_per_forward"], row["context_passes"]) == (2, 0.375)
    assert "context_passes" not in measure([question()], [Answer("", 1, 1, ended=True)], 1.0)


def test_questions_without_a_judge_have_a_likelihood_and_no_score() -> None:
    answers = [Answer("a", 2, 1, ended=True), Answer("b", 2, 1, ended=False)]
    row = measure([question(SHORT, None)] * 2, answers, 1.0, [(3.0, 2), (1.0, 2)])
    assert "score" not in row
    assert row["nll"] == 1.0
    assert row["ended_short"] == 50.0


def test_repeated_trigrams_are_runs_of_three_words_seen_before() -> None:
    assert repeated_trigrams("one two three four") == 0
    assert repeated_trigrams("a b c a b c a b c") == pytest.approx(4 / 7)
    assert repeated_trigrams("two words") == 0


def test_intervals_hold_the_value_and_stay_in_bounds() -> None:
    assert wilson(0, 40)[0] == 0
    assert wilson(40, 40)[1] == 1
    low, high = wilson(20, 40)
    assert low < 0.5 < high
    low, high = bootstrap([(2, 1), (4, 1), (6, 2), (1, 1)])
    assert low < 13 / 5 < high
    assert bootstrap([(2, 1), (4, 2)]) == (2, 2)


def test_answers_are_kept_with_their_questions_evenly_spaced() -> None:
    questions = [question(str(at)) for at in range(4)] + [question("free", None)]
    answers = [Answer("yes" if at % 2 else "no", 2, 1, ended=at > 0) for at in range(5)]
    first, last = kept_answers(questions, answers, 2)
    asked = [{"role": "user", "content": "?"}]
    assert first == {"kind": "0", "messages": asked, "answer": "no", "ended": False, "right": False}
    assert last["kind"] == "2"
    kept = kept_answers(questions, answers, 9)
    assert [row.get("right") for row in kept] == [False, True, False, True, None]


def test_repeated_trigrams_have_an_interval() -> None:
    loops = Answer("a b c a b c a b c", 9, 9, ended=False)
    row = measure([question(right=None)] * 2, [loops, Answer("a b c d", 4, 4, ended=True)], 1.0)
    assert row["repeated_trigrams"] == pytest.approx(2 / 7, abs=1e-3)
    assert row["repeated_trigrams_interval"] == [0, 0.571]
