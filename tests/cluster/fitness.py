"""Whether this machine can have real nodes: tried in small, without anything that is compiled.

A machine may be one in name only: a container without the rights, a kernel without a part of what
is needed. What a node does first is done here by the same programs in the same order, down to a
container that ends well.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import cgroups, debian, network, standing
from cluster.debian import Unfit
from cluster.machines import NAMESPACES
from cluster.network import Place

PROBE = Path(__file__).parent / "manifests" / "node" / "probe.sh"
GROUP = "dfastllm-probe"
TIMEOUT_S = 60
NOBODYS = "127.198.19.1"  # of the machine's own, like any that begins so


def require() -> None:
    """Raises `Unfit` with the first thing that this machine lacks."""
    if sys.platform != "linux":
        raise Unfit(f"real nodes are made of Linux's namespaces, and this is {sys.platform}")
    debian.require()
    _require_port()
    disk = standing.folder()  # containerd would unpack images there
    disk.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=disk) as name:
        folder = Path(name)
        _try_network(folder)
        with _group(folder):
            _try_container(folder)


def _require_port() -> None:
    """The gateway's is taken by who listens at all addresses, and not by who does at one."""
    with socket.socket() as tried:
        try:
            tried.bind((NOBODYS, standing.GATEWAY_PORT))
        except OSError as error:
            raise Unfit(
                f"a program of this machine listens at port {standing.GATEWAY_PORT} of all its "
                f"addresses, and the gateway needs it at {network.HOST}: {error}"
            ) from error


def _try_network(folder: Path) -> None:
    """One of one node, which says something to the machine; or that of the cluster that is up."""
    networks, bridges = folder / "networks", folder / "bridges"
    try:
        network.refuse_overlap(but_a_clusters=True)
        if network.is_laid():
            return
        try:
            network.filter_bridges(bridges)
            network.lay(networks, [Place(1)])
            network.require_way(networks, Place(1))
        finally:
            network.remove(networks)
            network.leave_bridges(bridges)
    except (network.NetworkFailed, OSError, subprocess.TimeoutExpired) as error:
        raise Unfit(f"no network of nodes can be laid here: {error}") from error


@contextmanager
def _group(folder: Path) -> Iterator[None]:
    lent = folder / "cgroups"
    try:
        try:
            cgroups.lend(lent)
            cgroups.make(GROUP)
        except OSError as error:
            raise Unfit(f"no control group can be made here: {error}") from error
        yield
    finally:
        if any((hierarchy / GROUP).exists() for hierarchy in cgroups.hierarchies()):
            cgroups.remove(GROUP)
        cgroups.take_back(lent)


def _try_container(disk: Path) -> None:
    """One of runc, in a root and in namespaces as a node has them."""
    with tempfile.TemporaryDirectory(dir=disk) as name:
        folder = Path(name)
        root = folder / "bundle" / "rootfs"
        root.mkdir(parents=True)
        shutil.copy(str(debian.found("busybox")), root / "busybox")
        (root.parent / "config.json").write_text(json.dumps(_container()))
        command = ("unshare", "--net", *NAMESPACES, "bash", str(PROBE), name)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unfit(f"a container like a pod's does not end within {TIMEOUT_S} s") from error
    if done.returncode:
        said = " / ".join(done.stderr.split("\n")[-4:]).strip(" /")
        raise Unfit(f"no node can be made here: {said or f'status {done.returncode}'}")


def _container() -> dict[str, object]:
    namespaces = ("pid", "ipc", "uts", "mount", "network")
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/busybox", "true"], "cwd": "/"},
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": f"/{GROUP}/container",
            "namespaces": [{"type": kind} for kind in namespaces],
        },
    }
