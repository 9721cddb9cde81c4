"""The KServe controller with its admission webhooks, which the API server reaches by URL."""

import base64
import json
import re
from pathlib import Path
from string import Template

from cluster.controlplane import ControlPlane
from cluster.ports import HOST
from cluster.processes import Process, Program, answers

NAMESPACE = "kserve"
NAME = "kserve-manager"
CONFIG = Template((Path(__file__).parent / "manifests" / "kserve.yaml").read_text())
SERVICE = re.compile(
    r"^(?P<indent> *)service:\n"
    r" +name: \$\(webhookServiceName\)\n"
    r" +namespace: \$\(kserveNamespace\)\n"
    r" +path: (?P<path>\S+)\n",
    re.MULTILINE,
)


def start(plane: ControlPlane, gateway_api: bool) -> Process:
    """Its CRDs are there already. Routes go to the Gateway, or (without) to an Ingress."""
    plane.kubectl.apply(CONFIG.substitute(gateway_api=json.dumps(gateway_api)))
    home = plane.folder / "kserve"
    certificates = home / "k8s-webhook-server" / "serving-certs"  # where it looks, below TMPDIR
    certificates.mkdir(parents=True)
    pair = plane.authority.issue("kserve-webhooks", HOST)
    (certificates / "tls.crt").write_bytes(pair.cert.read_bytes())
    (certificates / "tls.key").write_bytes(pair.key.read_bytes())
    webhook, metrics, health = (plane.ports.take() for _ in range(3))
    argv = (
        str(plane.paths["kserve-manager"]),
        f"--metrics-addr={HOST}:{metrics}",
        f"--health-probe-addr={HOST}:{health}",
        f"--webhook-port={webhook}",
    )
    environ = {
        "KUBECONFIG": str(plane.kubectl.kubeconfig),
        "POD_NAMESPACE": NAMESPACE,
        "TMPDIR": str(home),
    }
    program = Program(argv, lambda: answers(f"http://{HOST}:{health}/readyz"), environ)
    process = plane.processes.start(NAME, program)
    process.wait_ready()
    plane.kubectl.apply(_webhooks(plane, webhook))
    return process


def _webhooks(plane: ControlPlane, port: int) -> str:
    """As KServe ships them, but for the address."""
    bundle = base64.b64encode(plane.authority.bundle).decode()
    shipped = (plane.paths["kserve-webhooks"] / "manifests.yaml").read_text()
    changed, places = SERVICE.subn(
        rf"\g<indent>url: https://{HOST}:{port}\g<path>\n\g<indent>caBundle: {bundle}\n", shipped
    )
    assert places, "KServe writes its webhooks differently now"
    return changed
