from dfastllm_operator.contest import PAUSE_S, REPAIRS, Contest
from dfastllm_operator.core import Key

X, Y = (Key("shop", "demo"), "Service/x"), (Key("shop", "demo"), "Service/y")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_few_repairs_are_no_fight() -> None:
    contest = Contest(Clock())
    for _ in range(REPAIRS - 1):
        contest.written(X, "same")
    assert contest.calm(X, "same")


def test_many_repairs_at_once_pause_the_object_and_no_other() -> None:
    clock = Clock()
    contest = Contest(clock)
    for _ in range(REPAIRS):
        contest.written(X, "same")
    assert not contest.calm(X, "same")
    assert contest.calm(Y, "same")
    clock.now = PAUSE_S + 1
    assert contest.calm(X, "same")


def test_slow_repairs_never_pause() -> None:
    clock = Clock()
    contest = Contest(clock)
    for _ in range(10 * REPAIRS):
        clock.now += 30
        contest.written(X, "same")
    assert contest.calm(X, "same")


def test_edits_of_the_spec_are_no_fight_however_many() -> None:
    contest = Contest(Clock())
    for number in range(10 * REPAIRS):
        assert contest.calm(X, str(number))
        contest.written(X, str(number))


def test_an_apply_that_changed_nothing_is_not_repeated_until_the_object_moves() -> None:
    contest = Contest(Clock())
    contest.unmoved(X, "hash", "7")
    assert contest.futile(X, "hash", "7")
    assert not contest.futile(X, "hash", "8")
    assert not contest.futile(X, "other", "7")


def test_what_is_gone_is_forgotten() -> None:
    contest = Contest(Clock())
    contest.unmoved(X, "hash", "7")
    contest.forget_service(X[0])
    assert not contest.futile(X, "hash", "7")
