from dfastllm_operator.contest import PAUSE_S, REPAIRS, Contest


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_few_repairs_are_no_fight() -> None:
    contest = Contest(Clock())
    for _ in range(REPAIRS - 1):
        contest.repaired("x")
    assert contest.calm("x")


def test_many_repairs_at_once_pause_the_object_and_no_other() -> None:
    clock = Clock()
    contest = Contest(clock)
    for _ in range(REPAIRS):
        contest.repaired("x")
    assert not contest.calm("x")
    assert contest.calm("y")
    clock.now = PAUSE_S + 1
    assert contest.calm("x")


def test_slow_repairs_never_pause() -> None:
    clock = Clock()
    contest = Contest(clock)
    for _ in range(10 * REPAIRS):
        clock.now += 30
        contest.repaired("x")
    assert contest.calm("x")


def test_an_apply_that_changed_nothing_is_not_repeated_until_the_object_moves() -> None:
    contest = Contest(Clock())
    contest.unmoved("x", "hash", "7")
    assert contest.futile("x", "hash", "7")
    assert not contest.futile("x", "hash", "8")
    assert not contest.futile("x", "other", "7")


def test_a_deleted_object_is_forgotten() -> None:
    contest = Contest(Clock())
    contest.unmoved("x", "hash", "7")
    contest.forget("x")
    assert not contest.futile("x", "hash", "7")
