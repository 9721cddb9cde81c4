"""`watch`: a live view on a terminal, and a line for each change anywhere else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.live import Live

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.core import Json
from dfastllm_operator.ctl.rendering import block, line
from dfastllm_operator.ctl.view import RolloutView, view

REFRESH_S = 1.0
"""Pace at which ages on the screen go on."""

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Screen(Protocol):
    """Where a view is shown."""

    def show(self, found: RolloutView) -> None: ...


class Lines:
    """One line for each change, with its time; nothing for what looks the same."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._last = ""

    def show(self, found: RolloutView) -> None:
        text = line(found)
        if text != self._last:
            self._last = text
            stamp = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
            self._console.print(f"{stamp} {text}", markup=False, highlight=False, soft_wrap=True)


class Block:
    """The whole, drawn over itself."""

    def __init__(self, live: Live, clock: Clock) -> None:
        self._live = live
        self._clock = clock

    def show(self, found: RolloutView) -> None:
        self._live.update(block(found, self._clock()), refresh=True)


async def watch(
    changes: AsyncIterator[Json],
    console: Console,
    *,
    until_done: bool = False,
    clock: Clock = wall_clock,
) -> RolloutView:
    """Show `changes` as they come; with `until_done` only until the latest one is done with.

    Returns what was shown last.
    """
    if not console.is_terminal:
        return await _follow(changes, Lines(console, clock), until_done)
    with Live(console=console, auto_refresh=False) as live:
        return await _follow(changes, Block(live, clock), until_done)


def well(found: RolloutView) -> bool:
    """Whether what the spec asks for serves, once all is at rest."""
    return found.phase != RolloutPhase.FAILED and not found.trouble


async def _follow(changes: AsyncIterator[Json], screen: Screen, until_done: bool) -> RolloutView:
    latest: list[RolloutView] = []
    ageing = asyncio.create_task(_age(latest, screen))
    try:
        async for cr in changes:
            latest[:] = [view(cr)]
            screen.show(latest[0])
            if until_done and latest[0].at_rest:
                return latest[0]
    finally:
        ageing.cancel()
        with suppress(asyncio.CancelledError):
            await ageing
    return latest[0]


async def _age(latest: list[RolloutView], screen: Screen) -> None:
    while True:
        await asyncio.sleep(REFRESH_S)
        for found in latest:
            screen.show(found)
