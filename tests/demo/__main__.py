"""`make demo`: from nothing to tokens that stream through a cluster's gateway; what to try next.

Every step does nothing where its work is done already, so a second call only asks again. The
cluster stands until `make cluster-down`, which ends the open port too.
"""

import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ci import prepare
from cluster import standing
from cluster.standing import Cluster
from demo import door
from demo.reader import stream
from e2e import owned, site
from e2e.installation import Installation
from e2e.services import Services
from e2e.site import Site
from images import archives
from support.packaging import MANIFESTS

SAMPLE = MANIFESTS / "samples" / "minimal.yaml"
NAME, NAMESPACE = "tiny", "default"  # of the service in it
QUESTION = "What is 27 + 48?"
NEXT = """
It is up. Try:

  curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model": "{name}", "messages": [{{"role": "user", "content": "{question}"}}]}}'

  OpenAI(base_url="{url}/v1", api_key="none")     # the openai package, in Python

  export KUBECONFIG={kubeconfig}
  export PATH={programs}:$PATH
  kubectl get dfastllmservice                     # dfs for short
  kubectl scale dfs/{name} --replicas=2
  kubectl logs -n dfastllm-system deployment/dfastllm-operator

  make cluster-down                               # ends it, and leaves nothing but images
"""


class Failed(Exception):
    """A step that failed, what it said, and where to read on."""


def main(
    port: Annotated[int, typer.Option(help="of 127.0.0.1, that leads to the service")] = 8080,
    nodes: Annotated[int, typer.Option(help="of a cluster that is made now")] = 1,
) -> None:
    with _step("packages of Debian, and a machine that can have nodes"):
        prepare.machine(nodes)
    with _step(
        "programs and images (the first time 20 minutes on two cores)", archives.cache_folder()
    ):
        prepare.programs_and_images()
    with _step("cluster", standing.folder()):
        owned.clear()
        if cluster := standing.find():
            owned.mend(cluster)
        else:
            cluster = standing.up(nodes)
        standing.keep()
    with _step("images in the nodes", _logs(cluster)):
        found = site.own(cluster)
    with _step("operator, by Helm", _logs(cluster)):
        _install(found)
    services = Services(cluster.kubectl, NAMESPACE, cluster.gateway)
    with _step(f"{SAMPLE.relative_to(MANIFESTS.parent)}, until it is Ready", _logs(cluster)):
        services.apply(SAMPLE.read_text())
        services.ready(NAME)
        host = services.endpoint(NAME).url.removeprefix("http://")
    with _step(f"port {port}, through the gateway to {host}", _logs(cluster)):
        url = door.opened(cluster, port, host)
    with _step("an answer", _logs(cluster)):
        print(f"\n> {QUESTION}\n", end="")
        for text in stream(url, NAME, QUESTION):
            print(text, end="", flush=True)
        print()
    programs = Path(cluster.programs["kubectl"]).parent
    words = {"url": url, "name": NAME, "question": QUESTION, "programs": programs}
    print(NEXT.format(kubeconfig=cluster.kubeconfig, **words))


@contextmanager
def _step(what: str, logs: Path | None = None) -> Iterator[None]:
    print(f"- {what}", flush=True)
    start = time.monotonic()
    try:
        yield
    except Exception as error:  # whatever it was, it ends the demo, and is told whole in a file
        details = Path(tempfile.gettempdir()) / "dfastllm-demo.log"
        details.write_text(traceback.format_exc())
        places = "\n".join(f"logs: {place}" for place in (logs, details) if place)
        raise Failed(f"make demo failed at: {what}\n{error}\n{places}") from error
    print(f"  {time.monotonic() - start:.0f} s", flush=True)


def _install(found: Site) -> None:
    os.environ["NO_PROXY"] = "*"  # no proxy leads to the cluster
    with tempfile.TemporaryDirectory() as home:
        Installation(found, Path(home)).by_helm()


def _logs(cluster: Cluster) -> Path:
    return cluster.folder / "logs"


if __name__ == "__main__":
    try:
        typer.run(main)
    except Failed as error:
        sys.exit(str(error))
