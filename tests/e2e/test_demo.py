"""`make demo`, twice, and all of it away again. To be run by itself: one cluster at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import standing
from cluster.ports import HOST, Ports
from demo.__main__ import NAME, QUESTION
from e2e import owned, site
from e2e.clients import Endpoint, Question, ask, user
from e2e.tally import Outcome
from e2e.traces import changed, settings, traces

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
TESTS = Path(__file__).parents[1]
RIGHT = "75"


def demo(port: int) -> str:
    """What it says; it must go well."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("E2E_")}
    command = [sys.executable, "-m", "demo", f"--port={port}"]
    done = subprocess.run(
        command, cwd=TESTS, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_answers_each_time_and_leaves_nothing() -> None:
    if site.elsewhere():
        pytest.skip("of the tests' own cluster, and they run on another")
    owned.clear()
    if standing.find():
        pytest.skip("a cluster is up, and somebody may need it")
    ports, before = Ports(), settings()
    port = ports.take()
    try:
        for said in (demo(port), demo(port)):
            answer, _, _ = said.partition(f"\n> {QUESTION}\n")[2].partition("\n")
            assert answer.endswith(RIGHT), said
            assert f"http://{HOST}:{port}/v1" in said
        with Endpoint(f"http://{HOST}:{port}").openai() as client:
            asked = ask(client, NAME, Question(user(QUESTION), RIGHT, {}))
        assert asked.outcome is Outcome.FINISHED, asked
        assert not asked.wrong, asked
        assert traces()
    finally:
        standing.down()
        ports.release()

    assert not traces()
    assert not changed(before)
