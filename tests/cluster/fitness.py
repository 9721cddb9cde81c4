"""Whether this machine can have real nodes: tried in small, without anything that is compiled.

A machine may be one in name only: a container without the rights, a kernel without a part of what
is needed. What a node does first is done here by the same programs in the same order, down to a
container that ends well.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster import cgroups, debian, network, standing
from cluster.debian import Unfit
from cluster.machines import NAMESPACES

PROBE = Path(__file__).parent / "manifests" / "node" / "probe.sh"
GROUP = "dfastllm-probe"
TIMEOUT_S = 60


def require() -> None:
    """Raises `Unfit` with the first thing that this machine lacks."""
    if sys.platform != "linux":
        raise Unfit(f"real nodes are made of Linux's namespaces, and this is {sys.platform}")
    debian.require()
    try:
        network.refuse_overlap(but_a_clusters=True)
        if not network.BRIDGE_FILTER.exists():
            network.run("modprobe", "br_netfilter")
    except (network.NetworkFailed, OSError, subprocess.TimeoutExpired) as error:
        raise Unfit(f"no network of nodes can be laid here: {error}") from error
    try:
        _make_groups()
        _try_container()
    finally:
        if any((hierarchy / GROUP).exists() for hierarchy in cgroups.hierarchies()):
            cgroups.remove(GROUP)


def _make_groups() -> None:
    try:
        cgroups.make(GROUP)
    except OSError as error:
        raise Unfit(f"no control group can be made here: {error}") from error


def _try_container() -> None:
    """One of runc, in a root and in namespaces as a node has them."""
    disk = standing.folder()  # containerd would unpack images there
    disk.mkdir(parents=True, exist_ok=True)
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
