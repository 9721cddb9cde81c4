"""Nodes that run containers: containerd, kubelet and kube-proxy in namespaces of their own."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from string import Template

from cluster import cgroups, debian, dns, images, network
from cluster.controlplane import ControlPlane, embedded
from cluster.kubectl import Kubectl, KubectlFailed
from cluster.network import Place
from cluster.processes import Program

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "kubelet", "kube-proxy", "pause")
PAUSE = "localhost/pause:1"
MANIFESTS = Path(__file__).parent / "manifests" / "node"
GROUP = "dfastllm-{}"  # below every hierarchy of control groups
NAMESPACES = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--uts")


def start(plane: ControlPlane, places: Sequence[Place], networks: Path, stores: Path) -> None:
    """Their namespaces are in `networks`; in `stores` their images, of earlier clusters too."""
    images.write(_pause(plane), PAUSE, {"/pause": plane.paths["pause"]}, ["/pause"])
    proxy = embedded(plane.authority.issue("system:kube-proxy"))
    plane.write_kubeconfig("kube-proxy", proxy)
    for place in places:
        store, group = stores / place.name, GROUP.format(place.name)
        store.mkdir(parents=True, exist_ok=True)
        cgroups.make(group)
        _configure(plane, place, store, group)
        _start(plane, place, networks / place.name, store)


def ready(kubectl: Kubectl, name: str, since: datetime.datetime) -> bool:
    """Its kubelet said so after `since`: what an earlier one said stands for a while."""
    try:
        node = kubectl.get("node", name)
    except KubectlFailed:  # it is new
        return False
    for condition in node["status"].get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            said = datetime.datetime.fromisoformat(condition["lastHeartbeatTime"])
            return said >= since.replace(microsecond=0)
    return False


def socket(folder: Path, name: str) -> Path:
    """Of the node's containerd, in the cluster's folder."""
    return folder / name / "containerd.sock"


def _start(plane: ControlPlane, place: Place, namespace: Path, store: Path) -> None:
    kept = {plane.paths[name].parent.resolve() for name in PROGRAMS}
    environ = {
        "NODE": str(plane.folder / place.name),
        "IMAGES": str(store),
        "SHARED": "\n".join(map(str, sorted({plane.folder, store, *kept}))),
        "PROGRAMS": ":".join(map(str, sorted(kept))),
        "PAUSE": str(_pause(plane)),
        "NAME": place.name,
        "ADDRESS": place.address,
    }
    enter = ("nsenter", f"--net={namespace}", "unshare", *NAMESPACES)
    argv = (*enter, "bash", str(MANIFESTS / "init.sh"))
    since = datetime.datetime.now(datetime.UTC)
    program = Program(argv, lambda: ready(plane.kubectl, place.name, since), environ)
    plane.processes.start(place.name, program)


def _pause(plane: ControlPlane) -> Path:
    return plane.folder / "pause.tar"


def _configure(plane: ControlPlane, place: Place, store: Path, group: str) -> None:
    """As `manifests/node` has it, and who it is: a node, with a node's rights only."""
    folder = plane.folder / place.name
    (folder / "cni").mkdir(parents=True)
    identity = plane.authority.issue(
        f"system:node:{place.name}", place.address, place.name, organization="system:nodes"
    )
    plane.write_kubeconfig(place.name, embedded(identity))
    values = {
        "folder": folder,
        "images": store,
        "pause": PAUSE,
        "cni": debian.CNI_PLUGINS,
        "runc": debian.found("runc"),
        "pods": place.pods,
        "group": group,
        "cert": identity.cert,
        "key": identity.key,
        "ca": plane.authority.pair.cert,
        "dns": dns.ADDRESS,
        "domain": dns.DOMAIN,
        "proxy_kubeconfig": plane.folder / "kube-proxy.kubeconfig",
        "name": place.name,
        "range": network.RANGE,
        "nodes": network.NODES,
    }
    targets = {"pods.conflist": "cni/10-pods.conflist"}
    for file in ("containerd.toml", "pods.conflist", "kubelet.yaml", "proxy.yaml"):
        content = Template((MANIFESTS / file).read_text()).substitute(values)
        (folder / targets.get(file, file)).write_text(content)
    (folder / "resolv.conf").write_text(f"nameserver {dns.ADDRESS}\n")
