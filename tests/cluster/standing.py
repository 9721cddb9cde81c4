"""A cluster with real nodes that stands until it is taken down, whichever command does that.

    cluster = standing.up(nodes=2)
    cluster.kubectl("get", "nodes")
    standing.down()

There is one on a machine at a time. Everything of it lies in one folder, from which every later
command knows it; `down` needs nothing but the folder to remove a half-made or half-dead one too.
"""

import datetime
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster import (
    binaries,
    cgroups,
    controlplane,
    crds,
    debian,
    dns,
    gateway,
    images,
    kserve,
    machines,
    network,
    room,
    sysctls,
)
from cluster.controlplane import ControlPlane
from cluster.kubectl import Kubectl, KubectlFailed
from cluster.network import Place
from cluster.processes import until
from cluster.register import Register

ADD_ONS = ("coredns", "kserve-manager", "kserve-webhooks", "helm")
NEEDED = (*controlplane.PROGRAMS, *crds.NAMES, *machines.PROGRAMS, *ADD_ONS)  # of `binaries`
MOST_NODES = 9
GATEWAY_PORT = 80  # so that URLs name none, as KServe writes them
NODE_LOST_S = 20  # until pods leave a node that is not heard of
API_SERVER_FLAGS = (
    f"--default-not-ready-toleration-seconds={NODE_LOST_S}",
    f"--default-unreachable-toleration-seconds={NODE_LOST_S}",
)
READY_S = 120.0
ROOM_BYTES = 1 * room.GB  # of etcd, logs and what containers write
NODE_BYTES = 5 * room.GB  # of a node: 3.9 with these images; what changed is there twice at first


class Elsewise(Exception):
    """The cluster is not in a state in which this can be done."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One that is up."""

    nodes: tuple[str, ...]
    url: str
    gateway: str  # its address, for the hosts of routes
    programs: dict[str, str]  # kubectl and others, for by hand

    @property
    def folder(self) -> Path:
        return _run()

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(Path(self.programs["kubectl"]), self.kubeconfig, self.folder)

    def load_image(self, archive: Path) -> None:
        """Into every node's store, where it stays when the cluster goes."""
        sockets = [machines.socket(self.folder, name) for name in self.nodes]
        images.load(Path(self.programs["ctr"]), sockets, archive)

    def remove_images(self, references: Sequence[str]) -> None:
        """From every node's store, with the layers that no other image has."""
        sockets = [machines.socket(self.folder, name) for name in self.nodes]
        images.remove(Path(self.programs["ctr"]), sockets, references)

    def stop(self, name: str) -> None:
        """A program, or a node with all on it, as by loss of power."""
        register().kill(name)

    def start(self, name: str) -> None:
        """One that was stopped; returns when it is ready, where the cluster would tell."""
        since = datetime.datetime.now(datetime.UTC)
        register().start(name)
        if name == "kube-apiserver":
            until(self._answers, f"{name} ready", READY_S)
        if name in self.nodes:
            until(lambda: machines.ready(self.kubectl, name, since), f"{name} ready", READY_S)

    def _answers(self) -> bool:
        try:
            return self.kubectl("get", "--raw=/readyz") == "ok"
        except KubectlFailed:
            return False


def folder() -> Path:
    """Of what runs, and of the nodes' images. Not for a file system in memory, nor an overlay."""
    base = (
        os.environ.get("DFASTLLM_CLUSTER_STATE")
        or os.environ.get("XDG_STATE_HOME")
        or Path.home() / ".local" / "state"
    )
    return (Path(base) / "dfastllm" / "cluster").resolve()


def register() -> Register:
    """Of the programs that run, or ran, whether or not the cluster is up."""
    return Register(_run(), {"NO_PROXY": "*"})  # all that they reach is on this machine


def find() -> Cluster | None:
    """The one that is up, if one is: it was finished, and not all of it has been killed since."""
    try:
        state = json.loads((_run() / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    if not any(register().running()):
        return None
    return Cluster(**{**state, "nodes": tuple(state["nodes"])})


def get() -> Cluster:
    if cluster := find():
        return cluster
    raise Elsewise("no cluster is up; `python -m cluster up --nodes 1` makes one")


def room_bytes(nodes: int) -> int:
    return ROOM_BYTES + nodes * NODE_BYTES


def up(nodes: int, passing: bool = False) -> Cluster:
    """Returns when everything is ready. One that is up already is left as it is, and stays.

    A `passing` one is somebody's who takes it down, or leaves that to whoever finds it: `passing`
    is where that is written, until somebody else has asked for the cluster.
    """
    debian.require()
    if not find():
        room.require(folder(), room_bytes(nodes), f"a cluster of {nodes}")
    paths = binaries.ensure(NEEDED)
    with _alone():
        if cluster := find():
            if len(cluster.nodes) != nodes:
                raise Elsewise(f"a cluster of {len(cluster.nodes)} is up: take it down first")
            keep()
            return cluster
        _remove()  # of one that was not finished
        places = [Place(number) for number in range(1, nodes + 1)]
        try:
            return _make(places, {name: paths[name] for name in NEEDED}, passing)
        except BaseException:
            _remove(keep_logs=True)
            raise


def passing() -> Path:
    """The file that says so; its lock is held by who takes the cluster down."""
    return _run() / "passing"


def keep() -> None:
    """It stays until it is taken down by hand, whoever made it."""
    passing().unlink(missing_ok=True)


def down(with_images: bool = False) -> None:
    """Leaves nothing but, unless asked to, the images of the nodes."""
    with _alone():
        _remove()
        if with_images:
            shutil.rmtree(_images(), ignore_errors=True)


def _make(places: list[Place], paths: dict[str, Path], is_passing: bool) -> Cluster:
    """In the order in which each finds what it needs, waiting as late as possible."""
    run = _run()
    run.mkdir(parents=True)
    if is_passing:
        passing().touch()
    sysctls.keep(run / "sysctls.json")
    network.filter_bridges(run / "bridges")
    network.lay(run / "networks", places)
    network.require_way(run / "networks", places[0])
    cgroups.lend(run / "cgroups")
    plane = controlplane.start(run, paths, network.HOST, register(), API_SERVER_FLAGS)
    try:
        machines.start(plane, places, run / "networks", _images())
        crds.install(plane, *(name for name in crds.NAMES if name != "kserve"))
        dns.start(plane)  # by now there is the namespace kube-system
        address = gateway.start(plane, GATEWAY_PORT)
        crds.install(plane, "kserve")
        controlplane.start_controller_manager(plane)
        kserve.start(plane, gateway_api=True)
        _wait(plane)
    except BaseException:
        plane.processes.stop()
        raise
    finally:
        plane.ports.release()
    plane.processes.leave()
    cluster = Cluster(
        nodes=tuple(place.name for place in places),
        url=plane.url,
        gateway=address,
        programs={name: str(paths[name]) for name in ("kubectl", "helm", "ctr")},
    )
    _write(run / "cluster.json", asdict(cluster))
    return cluster


def _wait(plane: ControlPlane) -> None:
    for process in plane.processes:
        process.wait_ready(READY_S)
    gateway.wait_programmed(plane)


def _remove(keep_logs: bool = False) -> None:
    """In the order in which each lets go of what the next removes.

    What cannot be removed keeps nothing else from being so. The folder stays then, for another try.
    """
    run = _run()
    (run / "cluster.json").unlink(missing_ok=True)
    register().kill()
    with ExitStack() as steps:  # which takes the last one first
        steps.callback(sysctls.put_back, run / "sysctls.json")
        steps.callback(network.leave_bridges, run / "bridges")
        steps.callback(network.remove, run / "networks")
        steps.callback(cgroups.take_back, run / "cgroups")
        for number in range(1, MOST_NODES + 1):
            steps.callback(cgroups.remove, machines.GROUP.format(Place(number).name))
    if keep_logs and (run / "logs").exists():
        shutil.rmtree(folder() / "logs", ignore_errors=True)
        shutil.move(run / "logs", folder() / "logs")
    if run.exists():
        shutil.rmtree(run)


def _run() -> Path:
    return folder() / "run"


def _images() -> Path:
    return folder() / "images"


def _write(file: Path, content: object) -> None:
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content))
    unfinished.rename(file)


@contextmanager
def _alone() -> Iterator[None]:
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Elsewise(f"another command works on the cluster in {folder()}") from None
        yield  # closing the file lets go of it
