"""A cluster leaves nothing on the machine. To be run by itself: there is one cluster at a time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import standing
from cluster.processes import until
from e2e import owned, site
from e2e.traces import changed, settings, traces

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
TESTS = Path(__file__).parents[1]


def test_what_was_killed_half_way_is_taken_down() -> None:
    if site.elsewhere():
        pytest.skip("of the tests' own cluster, and they run on another")
    owned.clear()
    if standing.find():
        pytest.skip("a cluster is up, and somebody may need it")
    standing.down()  # refused while another command makes one
    before = settings()
    owner = subprocess.Popen([sys.executable, "-m", "cluster", "up", "--nodes=1"], cwd=TESTS)
    programs = standing.register()
    until(lambda: any(p.name == "kubelet" for p in programs.running()), "a kubelet runs")
    assert owner.poll() is None
    owner.kill()
    owner.wait()
    for process in list(programs.running())[::2]:
        os.kill(process.pid, signal.SIGKILL)
    assert traces()

    standing.down()

    assert not traces()
    assert not changed(before)
