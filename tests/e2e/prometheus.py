"""A real Prometheus that scrapes the pods of a namespace.

It reaches them through the API server, and that through `kubectl proxy`: the same on every cluster,
whatever its network and however its administrators are known. Which pods there are is told it here:
Debian's Prometheus is built without a way to ask Kubernetes.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from cluster.binaries import cache_folder
from cluster.ports import HOST
from cluster.processes import Program, answers, fetch
from dfastllm_operator.names import SERVICE_LABEL
from e2e import tunnels
from e2e.services import Services
from support.process import until

PACKAGE = "prometheus"  # of Debian
INTERVAL = "2s"  # and as long may an answer take
WITHIN_S = 60.0
PORT = 8080  # of the server's metrics


class NoPrometheus(Exception):
    """Neither is it installed nor can Debian's package be had."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one; `_targets` is the file it reads them from, whenever that changes."""

    url: str
    _api: str
    _services: Services
    _targets: Path

    def discover(self) -> None:
        """Tell it the pods of services that run now."""
        found = self._services.objects("pods", f"--selector={SERVICE_LABEL}")
        running = [pod["metadata"] for pod in found if pod["status"].get("podIP")]
        entries = [_target(self._api, pod["namespace"], pod["name"]) for pod in running]
        unfinished = self._targets.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(entries))
        unfinished.rename(self._targets)

    def value(self, query: str) -> float:
        """Of a query with one number as its answer; 0 as long as there is none."""
        answer = json.loads(fetch(f"{self.url}/api/v1/query?{urlencode({'query': query})}"))
        found = answer["data"]["result"]
        assert len(found) <= 1, f"{query} has {len(found)} answers"
        return float(found[0]["value"][1]) if found else 0.0

    def wait(self, query: str, at_least: float) -> float:
        def reached() -> float:
            self.discover()
            value = self.value(query)
            return value if value >= at_least else 0.0

        return float(until(reached, f"{query} >= {at_least}", WITHIN_S, every_s=0.5))


@contextmanager
def scraping(services: Services) -> Iterator[Prometheus]:
    """One that scrapes every pod of a service there, as long as the block lasts."""
    installed = program()
    with tunnels.to_api(services.kubectl) as api, tunnels.bench() as beside:
        targets = beside.folder / "targets.json"
        config = beside.folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(_config(targets)))
        address = f"{HOST}:{beside.ports.take()}"
        found = Prometheus(f"http://{address}", api, services, targets)
        found.discover()
        argv = (
            str(installed),
            f"--config.file={config}",
            f"--storage.tsdb.path={beside.folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        )
        ready = Program(argv, lambda: answers(f"{found.url}/-/ready"))
        beside.processes.start("prometheus", ready).wait_ready()
        yield found


def program() -> Path:
    """The machine's, else Debian's, unpacked but not installed: nothing is to run by itself."""
    if found := shutil.which("prometheus"):
        return Path(found)
    kept = cache_folder().parent / "prometheus"
    path = kept / "usr" / "bin" / "prometheus"
    if not path.exists():
        _unpack(kept)
    return path


def _unpack(target: Path) -> None:
    if not shutil.which("apt-get"):
        raise NoPrometheus("install Prometheus: this machine has no apt-get to take Debian's with")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        try:
            _run(folder, "apt-get", "download", PACKAGE)
        except NoPrometheus:  # the machine has no lists of packages, or old ones
            lists = _own_lists(folder)
            _run(folder, "apt-get", *lists, "update")
            _run(folder, "apt-get", *lists, "download", PACKAGE)
        _run(folder, "sh", "-c", "dpkg -x *.deb out")
        (folder / "out").rename(target)


def _own_lists(folder: Path) -> list[str]:
    """Options: for these commands, and nobody needs to be root."""
    lists, cache = folder / "lists", folder / "cache"
    for needed in (lists / "partial", cache / "archives" / "partial"):
        needed.mkdir(parents=True)
    return ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}"]


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoPrometheus(f"{' '.join(command)}: {done.stderr.strip()}; or install Prometheus")


def _config(targets: Path) -> dict[str, Any]:
    job = {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)]}]}
    return {"global": {"scrape_interval": INTERVAL}, "scrape_configs": [job]}


def _target(api: str, namespace: str, pod: str) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{PORT}/proxy/metrics"
    labels = {"__metrics_path__": path, "namespace": namespace, "pod": pod}
    return {"targets": [api], "labels": labels}
