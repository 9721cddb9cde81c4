"""`cd tests && python -m cluster up`: the test cluster by hand."""

import json
import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from cluster import binaries, crds, parts, rig

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def up(
    kserve: Annotated[bool, typer.Option(help="KServe's controller and webhooks")] = True,
    gateway: Annotated[bool, typer.Option(help="traefik as Gateway API implementation")] = True,
    without: Annotated[list[str], typer.Option(help=f"CRDs to leave out: {crds.NAMES}")] = [],  # noqa: B006
) -> None:
    """Start one and keep it until Ctrl-C."""
    chosen = tuple(name for name in crds.NAMES if name not in without)
    with rig.running(rig.Options(crds=chosen, kserve=kserve, gateway=gateway)) as running:
        print(f"export KUBECONFIG={running.kubeconfig}")
        print(f"kubectl: {running.kubectl.program}\nhelm: {running.helm}")
        print(f"gateway: {running.gateway_address}\nlogs: {running.folder / 'logs'}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            signal.pause()


@app.command()
def build() -> None:
    """Build whatever is missing."""
    for name, path in binaries.ensure(list(parts.names())).items():
        print(f"{name}: {path}")


@app.command()
def status() -> None:
    """List the clusters that run on this machine."""
    for state in _running():
        print(f"{state['pid']}: {state['url']} KUBECONFIG={state['kubeconfig']}")


@app.command()
def down() -> None:
    """Stop those that `up` runs."""
    for state in _running():
        if "up" in Path(f"/proc/{state['pid']}/cmdline").read_text().split("\0"):
            os.kill(int(state["pid"]), signal.SIGTERM)


def _running() -> list[dict[str, str]]:
    files = Path(tempfile.gettempdir()).glob(f"{rig.PREFIX}*/rig.json")
    states = [json.loads(file.read_text()) for file in files]
    return [state for state in states if Path(f"/proc/{state['pid']}").exists()]


if __name__ == "__main__":
    app()
