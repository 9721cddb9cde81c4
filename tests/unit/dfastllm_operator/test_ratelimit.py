import pytest

from dfastllm_operator.ratelimit import RateLimit
from support.scripted_api import run


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_burst_is_free_and_then_each_waits_its_own_time() -> None:
    clock = Clock()

    async def test() -> None:
        limit = RateLimit(2.0, burst=3.0, clock=clock, sleep=clock.sleep)
        for _ in range(5):
            await limit.turn()

    run(test())
    assert clock.slept == [0.5, 1.0]


def test_turns_come_back_with_time_but_never_more_than_a_burst() -> None:
    clock = Clock()

    async def test() -> None:
        limit = RateLimit(2.0, burst=2.0, clock=clock, sleep=clock.sleep)
        for _ in range(2):
            await limit.turn()
        clock.now = 3600.0
        for _ in range(3):
            await limit.turn()

    run(test())
    assert clock.slept == [pytest.approx(0.5)]


def test_less_than_one_turn_a_second_still_has_a_first_turn() -> None:
    clock = Clock()

    async def test() -> None:
        limit = RateLimit(0.1, clock=clock, sleep=clock.sleep)
        await limit.turn()
        await limit.turn()

    run(test())
    assert clock.slept == [pytest.approx(10.0)]
