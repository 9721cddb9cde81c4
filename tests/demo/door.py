"""A port of this machine that leads through the cluster's gateway to one service.

The gateway knows services by names of hosts, and those are in nobody's DNS. So a second traefik
listens at the port and asks the gateway by the name. It is a program of the cluster: `down` ends it
with all others.
"""

import socket

import yaml

from cluster import gateway, standing
from cluster.ports import HOST
from cluster.processes import Processes, Program, answers
from cluster.standing import Cluster

NAME = "door"
WAIT_S = 30.0


class Taken(Exception):
    """Somebody else has the port."""


def opened(cluster: Cluster, port: int, host: str) -> str:
    """The URL. One that is open already and leads there is left as it is."""
    url, register = f"http://{HOST}:{port}", standing.register()
    file, wanted = cluster.folder / f"{NAME}.yaml", routes(port, host, cluster.gateway)
    if NAME in register.names():
        if any(register.running(NAME)) and file.read_text() == wanted:
            return url
        register.kill(NAME)
    require_free(port)
    file.write_text(wanted)
    argv = (
        str(gateway.program()),
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        f"--entrypoints.door.address={HOST}:{port}",
        f"--providers.file.filename={file}",
    )
    processes = Processes(cluster.folder, register)
    program = Program(argv, lambda: answers(f"{url}/health/ready"))
    processes.start(NAME, program).wait_ready(WAIT_S)
    processes.leave()
    return url


def routes(port: int, host: str, address: str) -> str:
    """Everything, to the gateway at `address`, as if it were for `host`."""
    http = {
        "routers": {"all": {"rule": "PathPrefix(`/`)", "middlewares": ["named"], "service": "on"}},
        "middlewares": {"named": {"headers": {"customRequestHeaders": {"Host": host}}}},
        "services": {"on": {"loadBalancer": {"servers": [{"url": f"http://{address}"}]}}},
    }
    return f"# {HOST}:{port}\n{yaml.safe_dump({'http': http})}"


def require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Taken(
                f"{HOST}:{port}: {error.strerror}; make demo PORT=... names another"
            ) from None
