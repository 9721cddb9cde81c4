"""`cd tests && python -m ci --seconds 1800`: as many of the end-to-end stories as fit.

A machine that cannot have real nodes is no failure, and neither is a short time: what is left out
is named, with the reason, in one line. A story that runs and does not pass is a failure.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ci import prepare
from ci.stories import STORIES, Story
from cluster import debian, standing
from e2e import owned

ROOT = Path(__file__).parents[2]
NODES = 2
UP_S = 150.0  # a cluster, with images loaded into its nodes
DOWN_S = 30.0
LATE_S = 300.0  # a story that takes longer than it should is ended


def main(
    seconds: Annotated[float, typer.Option(help="until which all must be over")] = 4500.0,
) -> None:
    end = time.monotonic() + seconds
    try:
        debian.require_root()
    except debian.Unfit as error:
        _leave_out(STORIES, str(error))
        return
    owned.clear()
    if standing.find():
        _leave_out(STORIES, "a cluster is up, and somebody may need it: make cluster-down")
        return
    if reason := _unprepared(end):
        _leave_out(STORIES, reason)
        return
    try:
        failed, left = _tell(end)
    except debian.Unfit as error:  # no room for the nodes' images
        _leave_out(STORIES, str(error))
        return
    _leave_out(left, "no time is left for them")
    if failed:
        raise SystemExit(f"end-to-end stories that failed: {_names(failed)}")


def _unprepared(end: float) -> str:
    """Why no story can be told; empty if all is there now."""
    left = max(0.0, end - time.monotonic() - UP_S - DOWN_S - STORIES[0].fits_in_s)
    with subprocess.Popen(
        [sys.executable, "-m", "ci.prepare"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            _, said = child.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return f"what they need was not made within {left / 60:.0f} minutes"
    if child.returncode == prepare.LACKING:
        return said.strip().splitlines()[-1]
    if child.returncode:
        raise SystemExit(f"what the stories need could not be made:\n{said}")
    return ""


def _tell(end: float) -> tuple[list[Story], list[Story]]:
    """Those that did not pass, and those for which no time is left: what comes after the first.

    One cluster serves all but the last few, and is taken down before those.
    """
    waiting, failed = list(STORIES), list[Story]()

    def is_next(*, none_up: bool, besides_s: float) -> bool:
        if not waiting or waiting[0].needs_none_up is not none_up:
            return False
        return waiting[0].fits_in_s <= end - time.monotonic() - besides_s

    def tell() -> None:
        story = waiting.pop(0)
        if not _passes(story, end + LATE_S):
            failed.append(story)

    if is_next(none_up=False, besides_s=UP_S + DOWN_S):
        with owned.made(NODES):
            while is_next(none_up=False, besides_s=DOWN_S):
                tell()
    while is_next(none_up=True, besides_s=0):
        tell()
    return failed, waiting


def _passes(story: Story, end: float) -> bool:
    """A story that is not over in the end does not."""
    # Jobs in the background of a shell ignore it, and so would what they begin.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("E2E_")}
    with subprocess.Popen(_command(story), cwd=ROOT, env=environ) as child:
        for left_s, ended_by in (end - time.monotonic(), signal.SIGINT), (DOWN_S, signal.SIGKILL):
            try:
                return child.wait(max(0.0, left_s)) == 0
            except subprocess.TimeoutExpired:
                child.send_signal(ended_by)  # first so that it puts away what it made
    return False


def _command(story: Story) -> list[str]:
    tests = f"tests/e2e/{story.tests}"
    return [sys.executable, "-m", "pytest", tests, "-m", "e2e", *story.options]


def _leave_out(left: Sequence[Story], reason: str) -> None:
    if left:
        which = "all" if len(left) == len(STORIES) else _names(left)
        print(f"end-to-end stories left out: {which}; {reason}", flush=True)
    else:
        print("end-to-end stories: all were run", flush=True)


def _names(told: Sequence[Story]) -> str:
    return ", ".join(story.tests.removeprefix("test_").removesuffix(".py") for story in told)


if __name__ == "__main__":
    typer.run(main)
