"""KEDA for the tests' own cluster, as long as a block lasts: two programs beside it.

KEDA's operator makes an HPA of every ScaledObject. Its adapter is the API that the HPA asks for the
metric: a Service in the cluster that names this machine.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

from cluster import binaries, network
from cluster.kubectl import KubectlFailed
from cluster.pki import Authority
from cluster.ports import HOST
from cluster.processes import Program, answers
from cluster.standing import Cluster
from e2e import tunnels
from e2e.site import LABEL
from e2e.tunnels import Bench

PROGRAMS = ("keda-operator", "keda-adapter")
NAMESPACE = "keda"
SERVICE = f"keda-metrics-apiserver.{NAMESPACE}.svc"
API = "v1beta1.external.metrics.k8s.io"
MANIFESTS = Template((Path(__file__).parent / "keda.yaml").read_text())


@dataclass(frozen=True, slots=True)
class _Keda:
    cluster: Cluster
    beside: Bench
    paths: dict[str, Path]
    authority: Authority

    def start_operator(self, metrics: str) -> None:
        """`metrics` is where the adapter finds it."""
        health = f"{HOST}:{self.beside.ports.take()}"
        self._start(
            "keda-operator",
            lambda: answers(f"http://{health}/readyz"),
            f"--kubeconfig={self.cluster.kubeconfig}",
            f"--cert-dir={self.authority.folder}",
            "--enable-cert-rotation=false",  # these outlive every test
            f"--metrics-bind-address={HOST}:{self.beside.ports.take()}",
            f"--metrics-service-bind-address={metrics}",
            f"--health-probe-bind-address={health}",
        )

    def start_adapter(self, port: int, metrics: str) -> None:
        kubeconfig, certificates = self.cluster.kubeconfig, self.authority.folder
        self._start(
            "keda-adapter",
            self._api_answers,
            f"--kubeconfig={kubeconfig}",
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--client-ca-file={certificates / 'ca.crt'}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
            f"--cert-dir={certificates}",
            f"--port={self.beside.ports.take()}",
            f"--bind-address={network.HOST}",
            f"--secure-port={port}",
            f"--metrics-service-address={metrics}",
        )

    def _start(self, name: str, ready: Callable[[], bool], *flags: str) -> None:
        environ = {
            "POD_NAMESPACE": NAMESPACE,
            "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
            "WATCH_NAMESPACE": "",  # all
            "NO_PROXY": "*",
        }
        program = Program((str(self.paths[name]), *flags), ready, environ)
        self.beside.processes.start(name, program).wait_ready()

    def _api_answers(self) -> bool:
        """As the API server sees it, which asks every few seconds."""
        found = self.cluster.kubectl.get(f"apiservice/{API}")["status"].get("conditions", [])
        return any(one["type"] == "Available" and one["status"] == "True" for one in found)


@contextmanager
def running(cluster: Cluster) -> Iterator[None]:
    """Every ScaledObject must be gone before the block ends: only KEDA lets go of one."""
    paths = binaries.ensure(PROGRAMS)
    with tunnels.bench() as beside:
        authority = Authority(beside.folder / "certificates")
        authority.issue("tls", HOST, SERVICE)
        found = _Keda(cluster, beside, paths, authority)
        port, metrics = beside.ports.take(), f"{HOST}:{beside.ports.take()}"
        manifests = MANIFESTS.substitute(
            address=network.HOST,
            port=port,
            authority=base64.b64encode(authority.bundle).decode(),
        )
        cluster.kubectl.apply(manifests)
        try:
            found.start_operator(metrics)
            found.start_adapter(port, metrics)
            yield
        finally:  # an API that nobody answers for would keep namespaces from going
            cluster.kubectl("delete", "-f", "-", "--ignore-not-found", input=manifests)


def sweep(cluster: Cluster) -> None:
    """What a run left that was killed meanwhile; no namespace goes before that."""
    kubectl, ours = cluster.kubectl, f"--selector={LABEL}"
    with suppress(KubectlFailed):
        kubectl("delete", "apiservices", ours)
    for namespace in kubectl.get("namespaces", ours)["items"]:
        where = ("-n", namespace["metadata"]["name"])
        with suppress(KubectlFailed):  # the cluster knows no such kind
            for scaled in kubectl.get("scaledobjects", *where)["items"]:
                name, let_go = scaled["metadata"]["name"], '{"metadata":{"finalizers":null}}'
                kubectl("patch", "scaledobject", name, *where, "--type=merge", "-p", let_go)
