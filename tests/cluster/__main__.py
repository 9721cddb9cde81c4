"""`cd tests && python -m cluster up`: the test cluster by hand.

With `--nodes 1` (or more) it runs containers, and stands until `down`. Without, it is the rig of
the operator's tests: nodes that are not there, until Ctrl-C.
"""

import itertools
import json
import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from cluster import binaries, crds, debian, fitness, rig, standing
from cluster.binaries import BuildFailed
from cluster.debian import Unfit
from cluster.images import ImportFailed
from cluster.network import NetworkFailed
from cluster.processes import NotReady
from cluster.standing import Elsewise

MIB = 1 << 20
KEDA = ("keda-operator", "keda-adapter")
HANDLED = (  # they say it all
    BuildFailed,
    Elsewise,
    ImportFailed,
    LookupError,
    NetworkFailed,
    NotReady,
    Unfit,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def up(
    nodes: Annotated[int, typer.Option(help="real ones", min=0, max=standing.MOST_NODES)] = 0,
    kserve: Annotated[bool, typer.Option(help="KServe's controller and webhooks")] = True,
    gateway: Annotated[bool, typer.Option(help="traefik as Gateway API implementation")] = True,
    without: Annotated[list[str], typer.Option(help=f"CRDs to leave out: {crds.NAMES}")] = [],  # noqa: B006
) -> None:
    """Start one. The other options are of the rig, without `--nodes`."""
    if nodes:
        _show(standing.up(nodes))
        return
    chosen = tuple(name for name in crds.NAMES if name not in without)
    with rig.running(rig.Options(crds=chosen, kserve=kserve, gateway=gateway)) as running:
        print(f"export KUBECONFIG={running.kubeconfig}")
        print(f"kubectl: {running.kubectl.program}\nhelm: {running.helm}")
        print(f"gateway: {running.gateway_address}\nlogs: {running.folder / 'logs'}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            signal.pause()


@app.command()
def down(
    images: Annotated[bool, typer.Option(help="remove the nodes' images too")] = False,
) -> None:
    """Stop all that `up` made."""
    for state in _rigs():
        if "up" in Path(f"/proc/{state['pid']}/cmdline").read_text().split("\0"):
            os.kill(int(state["pid"]), signal.SIGTERM)
    if standing.folder().exists():
        standing.down(with_images=images)


@app.command()
def status() -> None:
    """List the clusters that run on this machine, and what memory the standing one takes."""
    for state in _rigs():
        print(f"{state['pid']}: {state['url']} KUBECONFIG={state['kubeconfig']}")
    if cluster := standing.find():
        _show(cluster)
        register = standing.register()
        processes = sorted(register.running(), key=lambda p: (p.program, p.name))
        for (program, name), group in itertools.groupby(processes, lambda p: (p.program, p.name)):
            sizes = [process.resident_bytes for process in group]
            print(f"{program:24} {name:16} {len(sizes):3} {sum(sizes) // MIB:6} MiB")
        for program in set(register.names()) - {p.program for p in processes}:
            print(f"{program:24} does not run")


@app.command()
def load_image(archives: list[Path]) -> None:
    """Bring images to all nodes: archives as `docker save`, podman or buildah write them."""
    for archive in archives:
        standing.get().load_image(archive)


@app.command()
def logs(
    program: Annotated[str, typer.Argument(help="or a node; without: which there are")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1)] = 50,
) -> None:
    """Show how a program's log ends."""
    register = standing.register()
    if not program:
        print("\n".join(register.names()))
    else:
        text = register.log(program).read_text(errors="replace")
        print("\n".join(text.splitlines()[-lines:]))


@app.command()
def stop(name: str) -> None:
    """Kill a program of the standing cluster, or a node with all on it."""
    standing.get().stop(name)


@app.command()
def start(name: str) -> None:
    """Start again what was stopped."""
    standing.get().start(name)


@app.command()
def packages() -> None:
    """Install Debian's packages that real nodes need."""
    print(f"installed: {' '.join(debian.install()) or 'nothing, all was there'}")


@app.command()
def check() -> None:
    """Try whether this machine can have real nodes, in a second and without a trace."""
    fitness.require()
    print("this machine can have real nodes")


@app.command()
def build(
    nodes: Annotated[bool, typer.Option(help="also what real nodes run")] = False,
    keda: Annotated[bool, typer.Option(help="also KEDA, of one story")] = False,
) -> None:
    """Build whatever is missing."""
    needed = standing.NEEDED if nodes else rig.NEEDED
    for name, path in binaries.ensure([*needed, *(KEDA if keda else ())]).items():
        print(f"{name}: {path}")


def _show(cluster: standing.Cluster) -> None:
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    print(f"kubectl: {cluster.programs['kubectl']}\nhelm: {cluster.programs['helm']}")
    print(f"gateway: {cluster.gateway}\nlogs: {cluster.folder / 'logs'}")


def _rigs() -> list[dict[str, str]]:
    files = Path(tempfile.gettempdir()).glob(f"{rig.PREFIX}*/rig.json")
    states = [json.loads(file.read_text()) for file in files]
    return [state for state in states if Path(f"/proc/{state['pid']}").exists()]


def main() -> None:
    try:
        app()
    except HANDLED as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
