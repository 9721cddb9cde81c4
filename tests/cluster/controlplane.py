"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler, RBAC in force.

They listen on loopback; but for the API server, where nodes are to reach it.
"""

import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request

import yaml

from cluster.kubectl import Kubectl
from cluster.pki import Authority, Pair
from cluster.ports import HOST, Ports
from cluster.processes import Keeper, Processes, Program, answers, fetch

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
SERVICE_RANGE = "10.96.0.0/16"
API_SERVER_HOSTS = (HOST, "localhost", "10.96.0.1", "kubernetes.default.svc")
NO_PODS = ("--endpoint-reconciler-type=none",)  # to look for it, nor to be looked into


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running API server and what one needs to reach it and to add to it."""

    folder: Path
    paths: Mapping[str, Path]
    processes: Processes
    ports: Ports
    authority: Authority
    admin: Pair
    address: str  # of the API server, and for what else shall be reached by pods
    url: str
    kubectl: Kubectl
    context: ssl.SSLContext  # the administrator's

    def request(self, path: str, **options: Any) -> dict[str, Any]:
        """As the administrator; `options` as `urllib.request.Request` takes them."""
        return dict(json.loads(fetch(Request(self.url + path, **options), self.context)))

    def write_kubeconfig(self, name: str, user: Mapping[str, str]) -> Path:
        """A self-contained file: `user` as kubeconfig spells it."""
        ca = base64.b64encode(self.authority.bundle).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "rig",
                    "cluster": {"server": self.url, "certificate-authority-data": ca},
                }
            ],
            "users": [{"name": name, "user": dict(user)}],
            "contexts": [
                {"name": "rig", "context": {"cluster": "rig", "user": name}},
            ],
            "current-context": "rig",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))
        return path


def start(
    folder: Path,
    paths: Mapping[str, Path],
    address: str = HOST,
    keeper: Keeper | None = None,
    api_server_flags: Sequence[str] = NO_PODS,
) -> ControlPlane:
    """Returns when the API server is ready; `start_controller_manager` is the caller's to do."""
    ports, authority, processes = Ports(), Authority(folder / "pki"), Processes(folder, keeper)
    port = ports.take()
    admin = authority.issue("admin", organization="system:masters")
    kubectl = Kubectl(paths["kubectl"], folder / "admin.kubeconfig", folder)
    url = f"https://{address}:{port}"
    context = ssl.create_default_context(cafile=str(authority.pair.cert))
    context.load_cert_chain(admin.cert, admin.key)
    plane = ControlPlane(
        folder, paths, processes, ports, authority, admin, address, url, kubectl, context
    )
    try:
        plane.write_kubeconfig("admin", embedded(admin))
        _start_api_server(plane, port, _start_etcd(plane), api_server_flags)
        _start_controller(plane, "kube-scheduler")
    except BaseException:
        processes.stop()
        ports.release()
        raise
    return plane


def start_controller_manager(plane: ControlPlane) -> None:
    """Best after the CRDs: its garbage collector looks for new kinds twice a minute only."""
    ca = plane.authority.pair
    _start_controller(
        plane,
        "kube-controller-manager",
        f"--service-account-private-key-file={plane.authority.folder / 'service-accounts.key'}",
        f"--root-ca-file={ca.cert}",
        f"--cluster-signing-cert-file={ca.cert}",
        f"--cluster-signing-key-file={ca.key}",
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--pvclaimbinder-sync-period=1s",  # a claim seen before its volume waits as long
        f"--flex-volume-plugin-dir={plane.folder / 'volume-plugins'}",  # which it would make
    )


def wait_controllers(plane: ControlPlane) -> None:
    for name in ("kube-controller-manager", "kube-scheduler"):
        plane.processes[name].wait_ready()


def _start_etcd(plane: ControlPlane) -> str:
    client, peer = (f"http://{HOST}:{plane.ports.take()}" for _ in range(2))
    argv = (
        str(plane.paths["etcd"]),
        f"--data-dir={plane.folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    )
    plane.processes.start("etcd", Program(argv, lambda: answers(f"{client}/health")))
    return client


def _start_api_server(plane: ControlPlane, port: int, etcd: str, flags: Sequence[str]) -> None:
    authority = plane.authority
    ca = authority.pair.cert
    server = authority.issue("apiserver", *API_SERVER_HOSTS, plane.address)
    front_proxy = authority.issue("front-proxy")
    tokens = authority.key_file("service-accounts")
    argv = (
        str(plane.paths["kube-apiserver"]),
        f"--etcd-servers={etcd}",
        f"--bind-address={plane.address}",
        f"--advertise-address={plane.address}",
        f"--secure-port={port}",
        f"--tls-cert-file={server.cert}",
        f"--tls-private-key-file={server.key}",
        f"--client-ca-file={ca}",
        f"--kubelet-certificate-authority={ca}",
        f"--kubelet-client-certificate={plane.admin.cert}",
        f"--kubelet-client-key={plane.admin.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={tokens}",
        f"--service-account-signing-key-file={tokens}",
        f"--requestheader-client-ca-file={ca}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={front_proxy.cert}",
        f"--proxy-client-key-file={front_proxy.key}",
        "--enable-aggregator-routing=true",
        *flags,
    )
    environ = {"GOGC": "200"}  # a fifth less time to read the CRDs, for 200 MB more of memory
    program = Program(argv, lambda: answers(f"{plane.url}/readyz", plane.context), environ)
    plane.processes["etcd"].wait_ready()
    plane.processes.start("kube-apiserver", program).wait_ready()


def _start_controller(plane: ControlPlane, name: str, *flags: str) -> None:
    port = plane.ports.take()
    argv = (
        str(plane.paths[name]),
        f"--kubeconfig={plane.kubectl.kubeconfig}",
        "--leader-elect=false",
        f"--bind-address={HOST}",
        f"--secure-port={port}",
        "--authentication-skip-lookup=true",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        *flags,
    )
    context = ssl._create_unverified_context()  # it signs its own certificate
    plane.processes.start(
        name, Program(argv, lambda: answers(f"https://{HOST}:{port}/healthz", context))
    )


def embedded(pair: Pair) -> dict[str, str]:
    """A user of `write_kubeconfig`."""
    return {
        "client-certificate-data": base64.b64encode(pair.cert.read_bytes()).decode(),
        "client-key-data": base64.b64encode(pair.key.read_bytes()).decode(),
    }
