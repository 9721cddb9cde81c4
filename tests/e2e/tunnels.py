"""Ways from this machine into any cluster that kubectl reaches, as long as a block lasts."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.kubectl import Kubectl
from cluster.ports import HOST, Ports
from cluster.processes import Processes, Program, answers


@dataclass(frozen=True, slots=True)
class Bench:
    """Where programs run beside the cluster; nothing of them is left, however the tests end."""

    folder: Path
    ports: Ports
    processes: Processes


@contextmanager
def bench() -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="dfastllm-beside-"))
    ports, processes = Ports(), Processes(folder)
    try:
        yield Bench(folder, ports, processes)
    finally:
        processes.stop()
        ports.release()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def to_api(kubectl: Kubectl) -> Iterator[str]:
    """HOST:PORT of the API server, without a password."""
    with bench() as beside:
        port = beside.ports.take()
        argv = ("proxy", f"--port={port}", f"--address={HOST}")
        _run(beside, kubectl, argv, f"http://{HOST}:{port}/readyz")
        yield f"{HOST}:{port}"


@contextmanager
def to_service(kubectl: Kubectl, namespace: str, name: str) -> Iterator[str]:
    """HOST:PORT of a Service of ours, as `kubectl port-forward` gives it."""
    with _forwarded(kubectl, namespace, f"service/{name}", 80) as address:
        yield address


@contextmanager
def to_pod(kubectl: Kubectl, namespace: str, name: str, port: int) -> Iterator[str]:
    """HOST:PORT of a pod behind which there is a server of ours."""
    with _forwarded(kubectl, namespace, f"pod/{name}", port) as address:
        yield address


@contextmanager
def _forwarded(kubectl: Kubectl, namespace: str, what: str, port: int) -> Iterator[str]:
    with bench() as beside:
        own = beside.ports.take()
        argv = ("port-forward", what, f"{own}:{port}", f"--address={HOST}")
        _run(beside, kubectl, (*argv, "-n", namespace), f"http://{HOST}:{own}/health/ready")
        yield f"{HOST}:{own}"


def _run(beside: Bench, kubectl: Kubectl, argv: tuple[str, ...], shows: str) -> None:
    environ = {"KUBECONFIG": str(kubectl.kubeconfig), "NO_PROXY": "*"}
    program = Program((str(kubectl.program), *argv), lambda: answers(shows), environ)
    beside.processes.start("kubectl", program).wait_ready()
