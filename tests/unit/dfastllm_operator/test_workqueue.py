import asyncio

import pytest

from dfastllm_operator.core import Key
from dfastllm_operator.errors import Busy, LeaseLost
from dfastllm_operator.workqueue import Backoff, Worker, WorkQueue
from support.scripted_api import run, until

A, B = Key("ns", "a"), Key("ns", "b")
QUICK = Backoff(base_s=0.01, cap_s=0.02)


async def working(queue: WorkQueue, worker: Worker, concurrency: int = 2) -> asyncio.Task[None]:
    return asyncio.create_task(queue.run(worker, concurrency))


def test_a_key_is_handled_once_however_often_it_was_added() -> None:
    async def test() -> None:
        queue = WorkQueue()
        handled: list[Key] = []

        async def worker(key: Key) -> None:
            handled.append(key)

        for _ in range(5):
            queue.add(A)
        queue.add(B)
        task = await working(queue, worker)
        await until(lambda: len(handled) == 2)
        queue.close()
        await task
        assert sorted(handled) == [A, B]

    run(test())


def test_no_key_is_handled_by_two_workers_at_once() -> None:
    async def test() -> None:
        queue = WorkQueue()
        inside: list[Key] = []
        turns = 0

        async def worker(key: Key) -> None:
            nonlocal turns
            assert key not in inside
            inside.append(key)
            await asyncio.sleep(0.002)
            inside.remove(key)
            turns += 1

        task = await working(queue, worker, 4)
        for _ in range(20):
            queue.add(A)
            queue.add(B)
            await asyncio.sleep(0.001)
        await until(lambda: turns > 6 and not inside)
        queue.close()
        await task

    run(test())


def test_a_worker_says_when_to_come_back() -> None:
    async def test() -> None:
        queue = WorkQueue()
        times = 0

        async def worker(key: Key) -> float | None:
            nonlocal times
            times += 1
            return 0.001 if times < 4 else None

        queue.add(A)
        task = await working(queue, worker)
        await until(lambda: times == 4)
        assert queue.depth() == 0
        queue.close()
        await task

    run(test())


def test_a_key_that_fails_comes_back_and_the_failure_is_told() -> None:
    async def test() -> None:
        told: list[tuple[Key, str, float]] = []
        queue = WorkQueue(QUICK, on_failure=lambda k, e, s: told.append((k, str(e), s)))
        times = 0

        async def worker(key: Key) -> None:
            nonlocal times
            times += 1
            if times < 4:
                raise ValueError(f"broken {times}")

        queue.add(A)
        task = await working(queue, worker)
        await until(lambda: times == 4)
        queue.close()
        await task
        assert [(k, e) for k, e, _ in told] == [(A, f"broken {n}") for n in (1, 2, 3)]
        assert all(0.005 <= s <= 0.02 for *_, s in told)

    run(test())


def test_the_servers_wish_to_wait_goes_before_the_backoff() -> None:
    async def test() -> None:
        told: list[float] = []
        queue = WorkQueue(QUICK, on_failure=lambda _k, _e, s: told.append(s))

        async def worker(key: Key) -> None:
            raise Busy("wait", status=429, retry_after_s=33.0)

        queue.add(A)
        task = await working(queue, worker)
        await until(lambda: told)
        queue.close()
        await task
        assert told == [33.0]

    run(test())


def test_a_success_ends_a_row_of_failures() -> None:
    async def test() -> None:
        told: list[float] = []
        queue = WorkQueue(
            Backoff(base_s=0.004, cap_s=60.0), on_failure=lambda _k, _e, s: told.append(s)
        )
        outcomes = [True, True, False, True, False]

        async def worker(key: Key) -> None:
            if outcomes.pop(0):
                raise ValueError

        task = await working(queue, worker)
        queue.add(A)
        await until(lambda: len(outcomes) == 2)
        queue.add(A)
        await until(lambda: not outcomes)
        queue.close()
        await task
        first, second, after = told
        assert second > 0.004 >= max(first, after)

    run(test())


def test_a_lost_lease_ends_the_work_at_once() -> None:
    async def test() -> None:
        queue = WorkQueue()
        cancelled = asyncio.Event()

        async def worker(key: Key) -> None:
            if key == B:
                await asyncio.sleep(0.01)
                raise LeaseLost("another leads")
            try:
                await asyncio.sleep(3600)
            finally:
                cancelled.set()

        queue.add(A)
        queue.add(B)
        with pytest.raises(LeaseLost, match="another leads"):
            await queue.run(worker, 2)
        assert cancelled.is_set()

    run(test())


def test_closing_lets_workers_finish_what_they_have_in_hand_and_no_more() -> None:
    async def test() -> None:
        queue = WorkQueue()
        began = asyncio.Event()
        finished: list[Key] = []

        async def worker(key: Key) -> None:
            began.set()
            await asyncio.sleep(0.02)
            finished.append(key)

        queue.add(A)
        queue.add_after(B, 0.001)
        task = await working(queue, worker, 1)
        await began.wait()
        queue.close()
        await task
        assert finished == [A]

    run(test())


def test_a_long_queue_of_quick_work_lets_others_have_their_turn() -> None:
    async def test() -> None:
        queue = WorkQueue()
        handled: list[Key] = []

        async def worker(key: Key) -> None:
            handled.append(key)

        for number in range(100):
            queue.add(Key("ns", str(number)))
        task = await working(queue, worker, 4)
        turns = []
        while len(handled) < 100:
            await asyncio.sleep(0)
            turns.append(len(handled))
        assert len(turns) > 20
        queue.close()
        await task

    run(test())


def test_age_and_stuckness_are_told_by_the_clock() -> None:
    async def test() -> None:
        now = 100.0
        queue = WorkQueue(clock=lambda: now)
        queue.add(A)
        queue.add_after(B, 50.0)
        now = 130.0
        assert (queue.depth(), queue.oldest_age_s(), queue.stuck_s()) == (1, 30.0, 30.0)

    run(test())


def test_backoff_doubles_with_jitter_up_to_its_cap() -> None:
    backoff = Backoff(base_s=1.0, cap_s=10.0)
    assert [backoff.delay_s(n, lambda: 1.0) for n in (1, 2, 3, 4, 5, 1000)] == [1, 2, 4, 8, 10, 10]
    assert backoff.delay_s(3, lambda: 0.0) == 2.0
