"""What a machine lacks for real nodes is said in words, and nothing of the trial stays."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster import cgroups, debian, fitness, network, standing
from cluster.debian import Unfit
from cluster.network import NetworkFailed

REQUIRE_PORT = fitness._require_port


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
    monkeypatch.setattr(network, "is_laid", lambda: True)
    monkeypatch.setattr(fitness, "_require_port", lambda: None)
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
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(monkeypatch, 0)
    fitness.require()
    assert not list(machine.iterdir())
    assert not list(standing.folder().iterdir())


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


def test_the_gateways_port_is_taken_by_who_listens_everywhere(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitness, "_require_port", REQUIRE_PORT)
    ends(monkeypatch, 0)
    with socket.create_server(("127.0.0.1", 0)) as one:
        monkeypatch.setattr(standing, "GATEWAY_PORT", one.getsockname()[1])
        fitness.require()
    with socket.create_server(("", 0)) as everywhere:
        port = everywhere.getsockname()[1]
        monkeypatch.setattr(standing, "GATEWAY_PORT", port)
        with pytest.raises(Unfit, match=f"listens at port {port} of all its addresses"):
            fitness.require()


def test_controllers_are_lent_and_taken_back(machine: Path, tmp_path: Path) -> None:
    (machine / cgroups.CONTROLLERS).write_text("cpu memory pids\n")
    (machine / cgroups.LENT).write_text("cpu\n")
    mark = tmp_path / "lent"
    cgroups.lend(mark)
    assert mark.read_text() == "memory pids"
    assert (machine / cgroups.LENT).read_text() == "+pids", "each by a write of its own"
    cgroups.take_back(mark)
    assert (machine / cgroups.LENT).read_text() == "-pids"
    assert not mark.exists()


def test_the_machines_own_bridges_are_not_filtered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, ran = tmp_path / "bridge", []

    def modprobe(*argv: str) -> str:
        ran.append(argv)
        settings.mkdir(exist_ok=True)
        (settings / "bridge-nf-call-iptables").write_text("1")
        return ""

    monkeypatch.setattr(network, "BRIDGE_FILTER", settings)
    monkeypatch.setattr(network, "run", modprobe)
    mark = tmp_path / "mark"
    network.filter_bridges(mark)
    assert (settings / "bridge-nf-call-iptables").read_text() == "0"
    network.leave_bridges(mark)
    network.leave_bridges(mark)
    assert ran == [("modprobe", "br_netfilter"), ("modprobe", "--remove", "br_netfilter")]
    network.filter_bridges(mark)
    assert not mark.exists(), "it was there"


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
