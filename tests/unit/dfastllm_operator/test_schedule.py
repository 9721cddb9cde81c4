import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dfastllm_operator.core import Key
from dfastllm_operator.schedule import Schedule

A, B = Key("ns", "a"), Key("ns", "b")
KEYS = st.sampled_from([Key("ns", name) for name in "abc"])
REST = 2.0


def test_the_key_that_has_been_due_the_longest_comes_first() -> None:
    schedule = Schedule()
    schedule.add(A, 5.0)
    schedule.add(B, 3.0)
    assert schedule.take(2.9) is None
    assert schedule.next_at() == 3.0
    assert schedule.take(9.0) == B
    assert schedule.take(9.0) == A
    assert schedule.next_at() is None


def test_a_key_waits_once_and_at_its_earliest_time() -> None:
    schedule = Schedule()
    for at in (5.0, 3.0, 4.0):
        schedule.add(A, at)
    assert schedule.depth(9.0) == 1
    assert schedule.take(3.0) == A
    schedule.done(A, 3.0)
    assert schedule.take(9.0) is None


def test_a_key_woken_while_it_is_worked_on_is_worked_on_again_afterwards() -> None:
    schedule = Schedule()
    schedule.add(A, 1.0)
    assert schedule.take(1.0) == A
    schedule.add(A, 2.0)
    assert schedule.take(3.0) is None
    assert schedule.next_at() is None
    schedule.done(A, 3.0)
    assert schedule.take(3.0) == A


def test_a_busy_key_does_not_hide_those_behind_it() -> None:
    schedule = Schedule()
    schedule.add(A, 1.0)
    schedule.take(1.0)
    schedule.add(A, 1.0)
    schedule.add(B, 5.0)
    assert schedule.next_at() == 5.0
    assert schedule.take(5.0) == B


def test_a_key_rests_after_its_work_and_its_echoes_make_one_turn() -> None:
    schedule = Schedule(REST)
    schedule.add(A, 0.0)
    schedule.take(0.0)
    schedule.add(A, 0.5)
    schedule.done(A, 1.0)
    schedule.add(A, 1.5)
    assert schedule.take(2.9) is None
    assert schedule.take(3.0) == A
    schedule.done(A, 3.0)
    assert schedule.next_at() is None
    schedule.add(A, 100.0)
    assert schedule.take(100.0) == A


def test_what_is_stuck_is_a_key_in_hand_for_long_or_a_queue_that_does_not_move() -> None:
    schedule = Schedule()
    schedule.add(A, 10.0)
    assert schedule.stuck_s(10.0) == 0.0
    assert schedule.stuck_s(15.0) == 5.0
    schedule.take(15.0)
    assert schedule.stuck_s(16.0) == 1.0
    assert schedule.stuck_s(45.0) == 30.0
    schedule.done(A, 45.0)
    assert schedule.stuck_s(1000.0) == 0.0


def test_a_long_queue_that_moves_is_not_stuck() -> None:
    schedule = Schedule()
    for number in range(10):
        schedule.add(Key("ns", str(number)), 0.0)
    for now in range(10, 90, 10):
        key = schedule.take(float(now))
        assert key is not None
        schedule.done(key, now + 5.0)
        assert schedule.stuck_s(now + 5.0) == 0.0
        assert schedule.stuck_s(now + 9.0) == 4.0
    assert schedule.oldest_s(90.0) == 90.0


class Model(RuleBasedStateMachine):
    """Against a dictionary of due times: whole numbers, so that times meet."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule(REST)
        self.now = 0.0
        self.due: dict[Key, float] = {}
        self.busy: set[Key] = set()
        self.rested: dict[Key, float] = {}

    @rule(key=KEYS, delay=st.integers(0, 5))
    def add(self, key: Key, delay: int) -> None:
        at = max(self.now + delay, self.rested.get(key, 0.0))
        self.schedule.add(key, self.now + delay)
        self.due[key] = min(at, self.due.get(key, at))

    @rule(seconds=st.integers(0, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        ready = {k: at for k, at in self.due.items() if at <= self.now and k not in self.busy}
        key = self.schedule.take(self.now)
        if not ready:
            assert key is None
            return
        assert key in ready
        assert ready[key] == min(ready.values())
        del self.due[key]
        self.busy.add(key)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.busy)))
        self.schedule.done(key, self.now)
        self.busy.remove(key)
        self.rested[key] = self.now + REST
        if key in self.due:
            self.due[key] = max(self.due[key], self.now + REST)

    @invariant()
    def agrees(self) -> None:
        waiting = [at for key, at in self.due.items() if key not in self.busy]
        assert self.schedule.next_at() == min(waiting, default=None)
        assert self.schedule.depth(self.now) == sum(at <= self.now for at in waiting)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_memory_of_rest_does_not_grow() -> None:
    schedule = Schedule(REST)
    for number in range(1000):
        key = Key("ns", str(number))
        schedule.add(key, float(number))
        assert schedule.take(float(number)) == key
        schedule.done(key, float(number))
    assert len(schedule._resting) <= REST + 2


@pytest.mark.parametrize("rest_s", [0.0, REST])
def test_nothing_due_is_no_age(rest_s: float) -> None:
    assert Schedule(rest_s).oldest_s(50.0) == 0.0
