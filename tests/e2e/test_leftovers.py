"""A cluster leaves nothing on the machine. To be run by itself: there is one cluster at a time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import cgroups, network, standing, sysctls
from cluster.processes import until
from e2e import site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
TESTS = Path(__file__).parents[1]


def traces() -> list[str]:
    """What a cluster leaves on the machine until it is taken down."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    groups = [g for depth in ("", "*/") for g in cgroups.ROOT.glob(f"{depth}dfastllm*")]
    links = os.listdir("/sys/class/net")
    return [
        *(mount for mount in mounts if str(standing.folder()) in mount),
        *(str(group) for group in groups),
        *(link for link in links if link == network.CABLE),
        *(str(process) for process in standing.register().running()),
    ]


def test_what_was_killed_half_way_is_taken_down() -> None:
    if site.elsewhere():
        pytest.skip("of the tests' own cluster, and they run on another")
    if standing.find():
        pytest.skip("a cluster is up, and somebody may need it")
    standing.down()  # refused while another command makes one
    settings = {name: sysctls.read(name) for name in sysctls.NAMES}
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
    assert settings == {name: sysctls.read(name) for name in sysctls.NAMES}
