"""Windows from looks at counters, with restarts, gaps, and pods that come and go."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dfastllm_operator.analysis.measure import finished
from dfastllm_operator.analysis.series import ANSWERS, TOKENS, Flaw, Reading, Series, Unusable
from dfastllm_operator.analysis.window import Look, Sample, Side, Window, opening
from support.counted import CountedServer, sample

OK = Series(ANSWERS, "stop")


def look(at: float, **pods: Reading) -> Sample:
    return Sample(at, {Side.CANDIDATE: Look(pods)})


def reading(count: float, *, started: float | None = 1.0, running: float = 0.0) -> Reading:
    return Reading({OK: count}, running, started)


def total(window: Window) -> float:
    return window.side(Side.CANDIDATE).total(ANSWERS)


def test_only_what_happens_after_the_first_look_counts_on_both_sides() -> None:
    stable, candidate = CountedServer(), CountedServer()
    stable.answer(100)
    window = opening(2000, 30).after(sample(2031, stable, candidate))
    stable.answer(9)
    candidate.answer(1)
    window = window.after(sample(2060, stable, candidate))
    assert finished(window.side(Side.STABLE)) == 9
    assert finished(window.side(Side.CANDIDATE)) == 1
    assert window.side(Side.STABLE).total(TOKENS) == 360
    assert (window.began_at, window.at) == (2031, 2060)


def test_looks_during_the_warm_up_do_not_count() -> None:
    window = opening(100, 30)
    assert window.after(look(129.9, a=reading(1))) is window


def test_an_older_look_changes_nothing() -> None:
    window = opening(0, 0).after(look(10, a=reading(1))).after(look(20, a=reading(5)))
    assert window.after(look(15, a=reading(3))) is window
    assert window.after(look(20, a=reading(9))) is window


def test_a_process_that_is_replaced_starts_from_zero() -> None:
    window = opening(0, 0).after(look(10, a=reading(100, started=1)))
    window = window.after(look(20, a=reading(104, started=1)))
    window = window.after(look(30, a=reading(300, started=25)))
    assert total(window) == 4 + 300
    assert window.side(Side.CANDIDATE).resets == 1


def test_a_counter_that_falls_is_a_new_process_even_if_nobody_says_so() -> None:
    window = opening(0, 0).after(look(10, a=reading(100, started=None)))
    window = window.after(look(20, a=reading(3, started=None)))
    assert total(window) == 3


def test_a_counter_that_vanishes_is_a_new_process() -> None:
    window = opening(0, 0).after(look(10, a=reading(100, started=None)))
    window = window.after(look(20, a=Reading({})))
    assert window.side(Side.CANDIDATE).resets == 1


def test_a_pod_that_comes_up_in_the_window_brings_all_it_did() -> None:
    window = opening(0, 0).after(look(10, a=reading(5)))
    window = window.after(look(20, a=reading(5), b=reading(7, started=12)))
    assert total(window) == 7


def test_a_pod_that_was_silent_at_first_brings_only_what_follows() -> None:
    window = opening(0, 0).after(look(10, a=reading(5)))
    window = window.after(look(20, a=reading(5), b=reading(700, started=2)))
    window = window.after(look(30, a=reading(5), b=reading(703, started=2)))
    assert total(window) == 3


def test_what_a_pod_did_stays_when_it_goes() -> None:
    window = opening(0, 0).after(look(10, a=reading(5), b=reading(5)))
    window = window.after(look(20, a=reading(6), b=reading(9)))
    window = window.after(look(30, a=reading(7)))
    assert total(window) == 6


def test_a_gap_is_made_up_for_at_the_next_look() -> None:
    problem = Unusable(Flaw.NO_DATA, "no")
    window = opening(0, 0).after(look(10, a=reading(5)))
    window = window.after(Sample(20, {Side.CANDIDATE: Look({}, {"a": problem})}))
    side = window.side(Side.CANDIDATE)
    assert (side.answered, dict(side.unusable)) == (0, {"a": problem})
    window = window.after(look(30, a=reading(9)))
    assert total(window) == 4
    assert window.side(Side.CANDIDATE).answered == 1


def test_progress_is_an_answer_that_was_completed_or_nothing_to_do() -> None:
    def progress(*readings: tuple[float, Reading]) -> float:
        window = opening(0, 0)
        for at, found in readings:
            window = window.after(look(at, a=found))
        return window.side(Side.CANDIDATE).progress_at

    busy = reading(1, running=2)
    assert progress((10, busy), (20, busy)) == 10
    assert progress((10, busy), (20, reading(1))) == 20
    assert progress((10, busy), (20, reading(2, running=2))) == 20
    cancelled = Reading({OK: 1, Series(ANSWERS, "cancelled"): 5}, 2, 1)
    assert progress((10, busy), (20, cancelled)) == 10


Steps = st.lists(
    st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), min_size=1, max_size=30
)


@settings(deadline=None)
@given(Steps)
def test_no_increase_that_was_seen_is_lost_or_made_up(steps: list[tuple[int, bool, bool]]) -> None:
    """A process answers, is looked at or not, and is replaced or not, in any order."""
    count, started, at = 17, 1.0, 10.0
    window = opening(0, 0).after(look(at, a=reading(count, started=started)))
    seen = count
    expected = 0.0
    for grown, looked, replaced in steps:
        at += 1
        if replaced:
            count, started, seen = 0, at, 0  # what was not looked at before died with it
        count += grown
        if looked:
            window = window.after(look(at, a=reading(count, started=started)))
            expected += count - seen
            seen = count
    assert total(window) == expected


@settings(deadline=None)
@given(Steps)
def test_without_start_times_a_total_is_never_too_large(
    steps: list[tuple[int, bool, bool]],
) -> None:
    count, at, done = 0, 10.0, 0
    window = opening(0, 0).after(look(at, a=reading(0, started=None)))
    for grown, looked, replaced in steps:
        at += 1
        count = grown + (0 if replaced else count)
        done += grown
        if looked:
            window = window.after(look(at, a=reading(count, started=None)))
    assert 0 <= total(window) <= done


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=20), st.data())
def test_more_looks_in_between_change_no_total(grown: list[int], data: st.DataObject) -> None:
    counts = [sum(grown[: i + 1]) for i in range(len(grown))]
    kept = data.draw(st.sets(st.integers(1, len(counts) - 1)))
    totals = set()
    for chosen in (range(len(counts)), sorted({0, len(counts) - 1, *kept})):
        window = opening(0, 0)
        for i in chosen:
            window = window.after(look(i + 1, a=reading(counts[i])))
        totals.add(total(window))
    assert len(totals) == 1
