"""A way to the address inside the cluster, for clients that are outside of it.

A pod passes on the bytes of each connection to a Service, which it finds by cluster DNS like any
client in the cluster. So OpenAI's own client, which is in none of the images, asks by that address.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from e2e import tunnels
from e2e.clients import Endpoint
from e2e.services import ON_CPU, Services
from e2e.site import Site

Json = dict[str, Any]
PORT = 8000
WITHIN_S = 120.0
SCRIPT = """
import asyncio, contextlib, sys

async def pass_on(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()

async def connected(reader, writer):
    try:
        there, here = await asyncio.open_connection(sys.argv[1], 80)
    except OSError as error:
        print(error, flush=True)
        writer.close()
        return
    await asyncio.gather(pass_on(reader, here), pass_on(there, writer))

async def main():
    server = await asyncio.start_server(connected, port=int(sys.argv[2]))
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def inside(services: Services, site: Site, name: str, node: str = "") -> Iterator[Endpoint]:
    """The service by its address inside, as long as the block lasts; by a pod on `node`, if any."""
    url = services.get(name)["status"]["address"]["url"]
    pod = f"relay-{name}"
    services.apply(_pod(pod, site.server_image, str(urlsplit(url).hostname), node))

    def address() -> str:
        found = services.kubectl.get(f"pod/{pod}", "-n", services.namespace)["status"]
        return str(found.get("podIP", "")) if found.get("phase") == "Running" else ""

    try:
        host = services.until(address, f"{pod} runs", name, WITHIN_S)
        if site.standing:  # of which this machine is a part
            yield services.answering(Endpoint(url, f"{host}:{PORT}"), name)
        else:
            way = tunnels.to_pod(services.kubectl, services.namespace, pod, PORT)
            with way as forwarded:
                yield services.answering(Endpoint(url, forwarded), name)
    finally:
        services.run("delete", f"pod/{pod}", "--now", "--wait=false")


def _pod(name: str, image: str, host: str, node: str) -> Json:
    """As restricted as the namespace wants it."""
    container = {
        "name": "relay",
        "image": image,
        "command": ["python3", "-c", SCRIPT, host, str(PORT)],
        "resources": {"requests": ON_CPU["requests"]},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        **({"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
