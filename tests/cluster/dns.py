"""CoreDNS as the cluster's DNS: it runs beside the cluster, and is the Service `kube-dns` in it."""

from pathlib import Path
from string import Template

from cluster.controlplane import ControlPlane
from cluster.ports import HOST
from cluster.processes import Program, answers

ADDRESS = "10.96.0.10"  # of the Service
DOMAIN = "cluster.local"
MANIFESTS = Path(__file__).parent / "manifests"


def start(plane: ControlPlane) -> None:
    """Names of the cluster, and hosts of the gateway. No other name exists."""
    port, ready = plane.ports.take(), f"{HOST}:{plane.ports.take()}"
    service = Template((MANIFESTS / "dns.yaml").read_text())
    plane.kubectl.apply(service.substitute(address=ADDRESS, server=plane.address, port=port))
    corefile = plane.folder / "Corefile"
    corefile.write_text(
        Template((MANIFESTS / "Corefile").read_text()).substitute(
            port=port,
            server=plane.address,
            ready=ready,
            domain=DOMAIN,
            kubeconfig=plane.kubectl.kubeconfig,
            gateway=plane.address,
        )
    )
    argv = (str(plane.paths["coredns"]), "-conf", str(corefile))
    plane.processes.start("coredns", Program(argv, lambda: answers(f"http://{ready}/ready")))
