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
from itertools import filterfalse
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer

from ci import prepare, stories
from ci.stories import STORIES, Story
from cluster import debian, standing
from e2e import owned

ROOT = Path(__file__).parents[2]
NODES = 2
UP_S = 150.0  # a cluster, with images loaded into its nodes
DOWN_S = 30.0


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
    fitting = stories.chosen(end - time.monotonic() - UP_S - DOWN_S)
    try:
        failed = _tell(fitting)
    except debian.Unfit as error:  # no room for the nodes' images
        _leave_out(STORIES, str(error))
        return
    _leave_out(STORIES[len(fitting) :], "no time is left for them")
    if failed:
        raise SystemExit(f"end-to-end stories that failed: {_names(failed)}")


def _unprepared(end: float) -> str:
    """Why no story can be told; empty if all is there now."""
    left = max(0.0, end - time.monotonic() - UP_S - DOWN_S - stories.needed_s(STORIES[:1]))
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


def _tell(told: Sequence[Story]) -> list[Story]:
    """Those that did not pass. One cluster serves them all, and is taken down."""
    by_themselves = attrgetter("needs_none_up")
    failed: list[Story] = []
    if together := list(filterfalse(by_themselves, told)):
        with owned.made(NODES):
            failed += filterfalse(_passes, together)
    return [*failed, *filterfalse(_passes, filter(by_themselves, told))]


def _passes(story: Story) -> bool:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("E2E_")}
    command = [sys.executable, "-m", "pytest", f"tests/e2e/{story.tests}", "-m", "e2e"]
    return (
        subprocess.run([*command, *story.options], cwd=ROOT, env=environ, check=False).returncode
        == 0
    )


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
