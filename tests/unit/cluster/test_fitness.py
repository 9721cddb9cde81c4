"""What a machine lacks for real nodes is said in words, and nothing of the trial stays."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster import cgroups, debian, fitness, network
from cluster.debian import Unfit
from cluster.network import NetworkFailed


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that can have nodes, as far as may be told without trying; its control groups."""
    groups, busybox = tmp_path / "cgroup", tmp_path / "busybox"
    groups.mkdir()
    busybox.touch()
    monkeypatch.setenv("DFASTLLM_CLUSTER_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(debian, "require", lambda: None)
    monkeypatch.setattr(debian, "found", lambda program: str(busybox))
    monkeypatch.setattr(network, "refuse_overlap", lambda but_a_clusters: None)
    monkeypatch.setattr(network, "BRIDGE_FILTER", groups)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [groups])
    monkeypatch.setattr(cgroups, "ROOT", groups)
    return groups


def ends(monkeypatch: pytest.MonkeyPatch, status: int, said: str = "") -> None:
    """The trial, so."""

    def run(command: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        bundle = Path(command[-1]) / "bundle"
        assert (bundle / "config.json").exists()
        assert (bundle / "rootfs" / "busybox").exists()
        return subprocess.CompletedProcess(command, status, "", said)

    monkeypatch.setattr(fitness.subprocess, "run", run)


def test_a_machine_that_can_is_left_as_it_was(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ends(monkeypatch, 0)
    fitness.require()
    assert not list(machine.iterdir())
    assert not list((tmp_path / "state").iterdir())


def test_what_failed_is_said(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, 1, "mount: permission denied\nthis failed: mount -t overlay\n")
    with pytest.raises(Unfit, match=r"mount: permission denied / this failed: mount -t overlay$"):
        fitness.require()
    assert not list(machine.iterdir())


def test_a_trial_that_says_nothing_tells_its_status(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(monkeypatch, 9)
    with pytest.raises(Unfit, match="no node can be made here: status 9"):
        fitness.require()


def test_no_control_group(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr(cgroups, "make", refuse)
    with pytest.raises(Unfit, match="no control group can be made here: not permitted"):
        fitness.require()


def test_no_network(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(but_a_clusters: bool) -> None:
        raise NetworkFailed("a route is there")

    monkeypatch.setattr(network, "refuse_overlap", refuse)
    with pytest.raises(Unfit, match="no network of nodes can be laid here: a route is there"):
        fitness.require()


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitness.sys, "platform", "darwin")
    with pytest.raises(Unfit, match="this is darwin"):
        fitness.require()


def test_a_cluster_that_is_up_is_no_hindrance_and_another_route_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = {"dst": "198.19.0.0/24", "dev": network.CABLE}
    routes = [{"dst": "default", "dev": "eth0"}, ours]
    monkeypatch.setattr(network, "run", lambda *_: json.dumps(routes))
    network.refuse_overlap(but_a_clusters=True)
    with pytest.raises(NetworkFailed, match=r"a route to 198\.19\.0\.0/24"):
        network.refuse_overlap()
    routes.append({"dst": "198.19.128.0/17", "dev": "eth1"})
    with pytest.raises(NetworkFailed, match=r"a route to 198\.19\.128\.0/17"):
        network.refuse_overlap(but_a_clusters=True)
