"""The network of real nodes: each has a namespace of its own, and a cable to one switch.

The switch is a namespace too, so the machine's own firewall never sees what nodes say to each
other. The machine has a cable to it as well, and routes to the pods. Nothing is forwarded to other
networks: pods reach the cluster, the machine, and nobody else.
"""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

RANGE = "198.19.0.0/16"  # reserved for benchmarks: no network has it
NODES = "198.19.0.0/24"
HOST = "198.19.0.1"  # the machine, where the control plane and the gateway are
CABLE = "dfastllm0"  # its end of the cable
BITS = NODES.partition("/")[2]
# Services translate addresses in both directions, also between pods of one node, on its bridge.
BRIDGE_FILTER = Path("/proc/sys/net/bridge")
BRIDGE_MODULE = "br_netfilter"
TIMEOUT_S = 20
WAY_S = 5


class NetworkFailed(Exception):
    """What could not be done, and what `ip` and its like say of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where node `number` (1 to 9) is."""

    number: int

    @property
    def name(self) -> str:
        return f"n{self.number}"

    @property
    def address(self) -> str:
        return f"198.19.0.1{self.number}"

    @property
    def pods(self) -> str:
        return f"198.19.{self.number}.0/24"


def lay(folder: Path, places: Sequence[Place]) -> None:
    """Namespaces are files in `folder`, to be entered by `nsenter --net=FILE`."""
    refuse_overlap()
    folder.mkdir()
    switch = _namespace(folder, "switch")
    _ip(
        f"link add {CABLE} type veth peer name machine netns {switch}",
        f"address add {HOST}/{BITS} dev {CABLE}",
        f"link set {CABLE} up",
    )
    _ip(
        "link add switch type bridge",
        "link set machine master switch up",
        "link set switch up",
        inside=switch,
    )
    for place in places:
        node = _namespace(folder, place.name)
        cable = f"type veth peer name eth0 netns {node}"
        _ip(f"link add {place.name} {cable}", inside=switch)
        _ip(f"link set {place.name} master switch up", inside=switch)
        _ip(
            "link set lo up",
            f"address add {place.address}/{BITS} dev eth0",
            "link set eth0 up",
            f"route add default via {HOST}",
            *(f"route add {p.pods} via {p.address}" for p in places if p != place),
            inside=node,
        )
        _ip(f"route add {place.pods} via {place.address}")


def filter_bridges(mark: Path) -> None:
    """Have nodes filter what crosses their bridges; `mark` says that the machine did not before.

    Each network namespace has its own setting, which the module brings along as on: bridges of the
    machine itself stay as they were.
    """
    if BRIDGE_FILTER.exists():
        return
    mark.touch()
    run("modprobe", BRIDGE_MODULE)
    for setting in BRIDGE_FILTER.glob("bridge-nf-call-*"):
        setting.write_text("0")


def leave_bridges(mark: Path) -> None:
    """As they were; unless somebody else needs the module by now."""
    if mark.exists():
        with suppress(NetworkFailed):
            run("modprobe", "--remove", BRIDGE_MODULE)
        mark.unlink()


def require_way(folder: Path, place: Place) -> None:
    """Raises NetworkFailed where the machine's firewall keeps nodes from what runs on it."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        knock = f"exec 3<>/dev/tcp/{HOST}/{port}"
        inside = f"--net={folder / place.name}"
        try:
            run("timeout", f"{WAY_S}", "nsenter", inside, "bash", "-c", knock)
        except NetworkFailed as error:
            raise NetworkFailed(
                f"nodes do not reach this machine at {HOST}: its firewall must let in what comes "
                f"by {CABLE} (iptables -I INPUT -i {CABLE} -j ACCEPT)"
            ) from error


def remove(folder: Path) -> None:
    """What there is of it. The kernel takes cables and routes along."""
    if is_laid():
        _ip(f"link delete {CABLE}")
    for namespace in folder.glob("*"):
        while os.path.ismount(namespace):  # `Path.is_mount` is for folders only
            run("umount", str(namespace))
        namespace.unlink()
    if folder.exists():
        folder.rmdir()


def _namespace(folder: Path, name: str) -> Path:
    file = folder / name
    file.touch()
    run("unshare", f"--net={file}", "true")
    return file


def is_laid() -> bool:
    """This one, or what is left of it."""
    return Path(f"/sys/class/net/{CABLE}").exists()


def refuse_overlap(but_a_clusters: bool = False) -> None:
    """Before anything is made: a machine that uses the range would lose a part of its network.

    Routes of a cluster that is up, or of which something is left, may be let pass.
    """
    for route in json.loads(run("ip", "-4", "-json", "route")):
        if but_a_clusters and route.get("dev") == CABLE:
            continue
        network = IPv4Network("0.0.0.0/0" if route["dst"] == "default" else route["dst"])
        if network.prefixlen and network.overlaps(IPv4Network(RANGE)):
            raise NetworkFailed(f"this machine has a route to {network}, within {RANGE}")


def _ip(*commands: str, inside: Path | None = None) -> str:
    enter = ("nsenter", f"--net={inside}") if inside else ()
    return run(*enter, "ip", "-batch", "-", text="\n".join(commands))


def run(*argv: str, text: str = "") -> str:
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        raise NetworkFailed(f"{' '.join(argv)}: {text}\n{done.stderr.strip()}")
    return done.stdout
