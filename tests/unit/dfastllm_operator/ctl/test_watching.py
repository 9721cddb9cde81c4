import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from rich.console import Console

from dfastllm_operator.ctl import watching
from dfastllm_operator.ctl.view import RolloutView
from dfastllm_operator.ctl.watching import watch, well
from support.rollouts import Json, failed, said, service, under_way

NOW = datetime(2026, 11, 28, 20, 1, 35, tzinfo=UTC)
STORY = [
    service(under_way("Preparing", weight=0, confirmed=0)),
    service(under_way()),
    service(under_way()),
    service(failed()),
    service(None),
]


async def told(*crs: Json, pause_s: float = 0.0) -> AsyncIterator[Json]:
    for cr in crs:
        yield cr
        await asyncio.sleep(pause_s)


def watched(
    *crs: Json, terminal: bool = False, until_done: bool = False, pause_s: float = 0.0
) -> tuple[RolloutView, str]:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=terminal)
    changes = told(*crs, pause_s=pause_s)
    last = asyncio.run(watch(changes, console, until_done=until_done, clock=lambda: NOW))
    return last, out.getvalue()


def test_without_a_terminal_each_change_is_a_line_with_its_time() -> None:
    _, out = watched(*STORY)
    assert [row.split()[:2] for row in out.splitlines()] == [
        ["2026-11-28T20:01:35Z", "Preparing"],
        ["2026-11-28T20:01:35Z", "Analyzing"],
        ["2026-11-28T20:01:35Z", "Failed"],
        ["2026-11-28T20:01:35Z", "no"],
    ]
    assert "\x1b" not in out


def test_a_long_line_is_not_broken() -> None:
    _, out = watched(service(failed(message="word " * 60)))
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(("ending", "good"), [(failed(), False), ({"phase": "Stable"}, True)])
def test_it_can_end_with_the_rollout(ending: Json, good: bool) -> None:
    last, _ = watched(service(under_way()), service(ending), service(under_way()), until_done=True)
    assert last.phase == ending["phase"]
    assert well(last) is good


def test_what_is_held_is_waited_for() -> None:
    held = said(service({"phase": "Stable"}), ("RolloutBlocked", "True", "SlotBusy"))
    last, out = watched(held, service(under_way()), service({"phase": "Stable"}), until_done=True)
    assert len(out.splitlines()) == 3
    assert well(last)


def test_a_change_that_cannot_be_carried_out_has_not_ended_well() -> None:
    wrong = said(service({"phase": "Stable"}), ("Progressing", "False", "Blocked"))
    last, _ = watched(wrong, until_done=True)
    assert not well(last)


def test_on_a_terminal_the_block_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "REFRESH_S", 0.01)
    _, out = watched(service(under_way()), service(failed()), terminal=True, pause_s=0.1)
    assert out.count("slot b") > 2  # ages go on without news
    assert "\x1b[" in out
    assert "MetricsFailed" in out


def test_what_ends_the_changes_ends_the_watch() -> None:
    async def broken() -> AsyncIterator[Json]:
        yield service(under_way())
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        asyncio.run(watch(broken(), Console(file=io.StringIO())))
