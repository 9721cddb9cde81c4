"""Two shapes of load: clients that wait for their answer, and arrivals that wait for nobody."""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import Any

import httpx

from dfastllm.cli.bench_client import Sample, Target, measure

KEEPALIVE = httpx.Limits(max_connections=None, max_keepalive_connections=None)


@dataclass(frozen=True, slots=True)
class Load:
    """How much is sent: closed with `clients`, open with `rate` requests a second.

    Arrivals of an open load are Poisson and fixed by `seed`. Nothing is sent after
    `max_duration_s`; what is unfinished then is cut off.
    """

    requests: int
    clients: int = 1
    rate: float | None = None
    warm_up: int = 0
    seed: int = 0
    max_duration_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """All samples of a run, in order of schedule, and how long it took."""

    samples: list[Sample]
    seconds: float


async def run_load(
    base_url: str, headers: dict[str, str], target: Target, prompts: Sequence[str], load: Load
) -> Measured:
    """Warm up, then send the load and wait for its answers."""
    async with httpx.AsyncClient(
        base_url=base_url,
        headers=headers,
        limits=KEEPALIVE,
        timeout=target.timeout_s,
        trust_env=False,  # a proxy between would be measured too
    ) as client:
        chosen = cycle(prompts)
        for prompt in islice(chosen, load.warm_up):
            await measure(client, target, prompt, time.perf_counter())
        samples: list[Sample] = []
        run = _Run(client, target, islice(chosen, load.requests), samples)
        began = time.perf_counter()
        jobs = run.open(began, load) if load.rate is not None else run.closed(load.clients)
        tasks = [asyncio.create_task(job) for job in jobs]
        _, late = await asyncio.wait(tasks, timeout=load.max_duration_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in tasks:
            if task not in late:
                task.result()  # a bug of ours must not look like a quiet server
        seconds = time.perf_counter() - began
    return Measured(sorted(samples, key=lambda s: s.scheduled_s), seconds)


@dataclass(slots=True)
class _Run:
    client: httpx.AsyncClient
    target: Target
    prompts: Iterator[str]
    samples: list[Sample]

    def closed(self, clients: int) -> list[Coroutine[Any, Any, None]]:
        return [self._client() for _ in range(clients)]

    def open(self, began: float, load: Load) -> list[Coroutine[Any, Any, None]]:
        assert load.rate is not None
        at = arrivals(load.requests, load.rate, load.seed)
        return [
            self._at(began + offset, prompt)
            for offset, prompt in zip(at, self.prompts, strict=True)
        ]

    async def _client(self) -> None:
        for prompt in self.prompts:  # shared: each takes the next one
            await self._one(prompt, time.perf_counter())

    async def _at(self, when_s: float, prompt: str) -> None:
        await asyncio.sleep(when_s - time.perf_counter())
        await self._one(prompt, when_s)

    async def _one(self, prompt: str, scheduled_s: float) -> None:
        try:
            self.samples.append(await measure(self.client, self.target, prompt, scheduled_s))
        except asyncio.CancelledError:
            now = time.perf_counter()
            self.samples.append(Sample(scheduled_s, now, now, error="cut off at the time limit"))
            raise


def arrivals(count: int, rate: float, seed: int) -> list[float]:
    """Seconds from the start of `count` Poisson arrivals at `rate` a second."""
    rng, at, times = Random(seed), 0.0, []
    for _ in range(count):
        at += rng.expovariate(rate)
        times.append(at)
    return times
