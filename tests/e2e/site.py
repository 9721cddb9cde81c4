"""The cluster that the stories run on, and the images of this project in it.

Without further words it is the one that `python -m cluster up` made, or one of two nodes as long as
the tests run, with images of this checkout. Any other with KServe and the Gateway API is named by
the environment:

| variable | what |
|---|---|
| `E2E_KUBECONFIG` | of an administrator of that cluster |
| `E2E_GATEWAY` | NAMESPACE/NAME of its Gateway, by default `kserve/kserve-ingress-gateway` |
| `E2E_GATEWAY_ADDRESS` | HOST:PORT at which this machine reaches it |
| `E2E_SERVER_IMAGE`, `E2E_OPERATOR_IMAGE` | names that its nodes can pull, or have |
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cluster import binaries
from cluster.kubectl import Kubectl
from cluster.standing import Cluster
from e2e.provision import provide

GATEWAY = "kserve/kserve-ingress-gateway"
LABEL = (
    "dfastllm-stories=here"  # of what stories make outside of a namespace of theirs, and of those
)
DOMAIN = "example.com"  # of the services' hosts; nobody's DNS is asked for it


class NotSaid(Exception):
    """Something about a cluster of others that only its user knows."""


@dataclass(frozen=True, slots=True)
class Site:
    """`standing` is there if it is the tests' own, of which parts can be broken."""

    kubectl: Kubectl
    helm: Path
    gateway: str
    gateway_address: str
    server_image: str
    operator_image: str
    standing: Cluster | None


def elsewhere() -> Path | None:
    """The kubeconfig of a cluster of others, if the stories are to run there."""
    value = os.environ.get("E2E_KUBECONFIG")
    return Path(value) if value else None


def foreign(kubeconfig: Path, home: Path) -> Site:
    """As the environment says; `home` is for kubectl's cache."""
    return Site(
        kubectl=Kubectl(_program("kubectl"), kubeconfig, home),
        helm=_program("helm"),
        gateway=os.environ.get("E2E_GATEWAY", GATEWAY),
        gateway_address=_said("E2E_GATEWAY_ADDRESS"),
        server_image=_said("E2E_SERVER_IMAGE"),
        operator_image=_said("E2E_OPERATOR_IMAGE"),
        standing=None,
    )


def own(cluster: Cluster) -> Site:
    """With images of this checkout, built and loaded now if they are not there; or those named."""
    images = _named() or provide(cluster)
    return Site(
        kubectl=cluster.kubectl,
        helm=Path(cluster.programs["helm"]),
        gateway=GATEWAY,
        gateway_address=cluster.gateway,
        server_image=images["server"],
        operator_image=images["operator"],
        standing=cluster,
    )


def _program(name: str) -> Path:
    """The machine's, else built as those of the tests' own cluster are."""
    found = shutil.which(name)
    return Path(found) if found else binaries.ensure([name])[name]


def _named() -> dict[str, str] | None:
    """The images, if the environment names any."""
    variables = {"server": "E2E_SERVER_IMAGE", "operator": "E2E_OPERATOR_IMAGE"}
    if not any(map(os.environ.get, variables.values())):
        return None
    return {name: _said(variable) for name, variable in variables.items()}


def _said(variable: str) -> str:
    if value := os.environ.get(variable):
        return value
    raise NotSaid(f"{variable} is not set")
