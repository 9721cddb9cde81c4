"""A whole control plane for tests: Kubernetes, KServe, a gateway and nodes that are not there.

with running(Options()) as rig, rig.namespace() as namespace:
    rig.kubectl("get", "inferenceservices", "-n", namespace)
"""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster import binaries, controlplane, crds, gateway, kserve, nodes
from cluster.controlplane import ControlPlane
from cluster.kubectl import Kubectl
from cluster.nodes import Node
from cluster.pki import Pair
from cluster.processes import Processes, until

PREFIX = "dfastllm-rig-"
ADD_ONS = ("kserve-manager", "kserve-webhooks", "kwok", "kwok-stages", "helm")
NEEDED = (*controlplane.PROGRAMS, *crds.NAMES, *ADD_ONS)  # of `binaries`


@dataclass(frozen=True, slots=True)
class Options:
    """What to start with. What is left out of `crds` can be installed later."""

    crds: tuple[str, ...] = crds.NAMES
    kserve: bool = True  # its controller and webhooks
    gateway: bool = True  # traefik, and KServe's routes through the Gateway API
    nodes: tuple[Node, ...] = nodes.DEFAULT


@dataclass(slots=True)
class Rig:
    """A running one. Everything of it lies in `folder` and is gone after `stop`."""

    plane: ControlPlane
    helm: Path
    gateway_address: str | None = None
    _stopped: bool = field(default=False, repr=False)

    @property
    def folder(self) -> Path:
        return self.plane.folder

    @property
    def kubeconfig(self) -> Path:
        return self.plane.kubectl.kubeconfig

    @property
    def url(self) -> str:
        return self.plane.url

    @property
    def ca(self) -> Path:
        return self.plane.authority.pair.cert

    @property
    def admin(self) -> Pair:
        return self.plane.admin

    @property
    def kubectl(self) -> Kubectl:
        return self.plane.kubectl

    @property
    def processes(self) -> Processes:
        return self.plane.processes

    def port(self) -> int:
        """A free one, for what a test runs beside the cluster."""
        return self.plane.ports.take()

    def issue(self, name: str, *hosts: str) -> Pair:
        """By the cluster's authority; a webhook's is for the host 127.0.0.1."""
        return self.plane.authority.issue(name, *hosts)

    def install_crds(self, *names: str) -> None:
        crds.install(self.plane, *names)

    def restart_controller_manager(self) -> None:
        """After CRDs were added: its garbage collector would learn of them within 30 s only."""
        process = self.processes["kube-controller-manager"]
        process.stop()
        process.start()
        process.wait_ready()

    def start_gateway(self) -> None:
        self.gateway_address = gateway.start(self.plane)
        gateway.wait_programmed(self.plane)

    def start_kserve(self, gateway_api: bool = True) -> None:
        kserve.start(self.plane, gateway_api)

    def add_node(self, node: Node) -> None:
        nodes.add(self.plane, node)
        nodes.wait_ready(self.plane, [node])

    def remove_node(self, name: str) -> None:
        nodes.remove(self.plane, name)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """For a client that may do what the service account may."""
        token = self.kubectl("create", "token", name, "-n", namespace, "--duration=24h").strip()
        return self.plane.write_kubeconfig(f"{namespace}-{name}", {"token": token})

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """A new one, deleted afterwards without waiting for it."""
        name = f"test-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        try:
            until(
                lambda: bool(self.kubectl.get("serviceaccounts", "-n", name)["items"]),
                f"default service account of {name}",
            )
            yield name
        finally:
            if not self._stopped:
                self.kubectl("delete", "namespace", name, "--wait=false")

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            _stop(self.plane)


def up(options: Options | None = None) -> Rig:
    """Returns when everything asked for is ready."""
    options = options or Options()
    paths = binaries.ensure(NEEDED)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        plane = controlplane.start(folder, paths)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        rig = Rig(plane, paths["helm"])
        _populate(rig, options)
    except BaseException:
        _stop(plane)
        raise
    return rig


@contextmanager
def running(options: Options | None = None) -> Iterator[Rig]:
    rig = up(options)
    try:
        yield rig
    finally:
        rig.stop()


def _populate(rig: Rig, options: Options) -> None:
    """In the order in which each finds what it needs, waiting as late as possible."""
    nodes.start(rig.plane, options.nodes)
    rig.install_crds(*(name for name in options.crds if name != "kserve"))
    if options.gateway:
        rig.gateway_address = gateway.start(rig.plane)
    rig.install_crds(*(name for name in options.crds if name == "kserve"))
    controlplane.start_controller_manager(rig.plane)
    if options.kserve:
        rig.start_kserve(gateway_api=options.gateway)
    controlplane.wait_controllers(rig.plane)
    nodes.wait_ready(rig.plane, options.nodes)
    if options.gateway:
        gateway.wait_programmed(rig.plane)
    state = {"pid": os.getpid(), "url": rig.url, "kubeconfig": str(rig.kubeconfig)}
    (rig.folder / "rig.json").write_text(json.dumps(state))


def _stop(plane: ControlPlane) -> None:
    plane.processes.stop()
    plane.ports.release()
    shutil.rmtree(plane.folder, ignore_errors=True)
