"""A real Prometheus that scrapes an exporter of the tests in the place of a namespace's pods.

Pods that kwok plays have addresses that nobody answers at: the labels are those of the pods, the
pages are the exporter's.
"""

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import yaml

from cluster.processes import Guard
from dfastllm_operator.kinds import POD
from dfastllm_operator.names import SERVICE_LABEL
from e2e.prometheus import program
from support.exporter import Exporter
from support.history import History
from support.process import until

INTERVAL = "500ms"
WITHIN_S = 60.0
DISCOVERY_S = 0.1


class Prometheus:
    """One program; `url` is there before it runs, and while it does not."""

    def __init__(self, installed: Path, folder: Path, port: int, guard: Guard) -> None:
        self._guard = guard
        self.url = f"http://127.0.0.1:{port}"
        self.targets = folder / "targets.json"
        self.targets.write_text("[]")
        config = folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(_config(self.targets)))
        self._argv = [
            str(installed),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._argv, stderr=subprocess.DEVNULL)
        self._guard.started(self._process.pid)  # it ends with us, even if we are killed
        until(self._ready, "Prometheus is ready", WITHIN_S, every_s=0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._guard.stopped(self._process.pid)
            self._process = None

    def discover(self, entries: list[dict[str, object]]) -> None:
        unfinished = self.targets.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(entries))
        unfinished.rename(self.targets)

    def _ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        return False


@contextmanager
def scraping(
    exporter: Exporter, history: History, namespace: str, port: int, guard: Guard
) -> Iterator[Prometheus]:
    """One that knows the pods of `history` as they come and go."""
    installed = program()
    with tempfile.TemporaryDirectory(prefix="dfastllm-prometheus-") as folder:
        found = Prometheus(installed, Path(folder), port, guard)
        over = threading.Event()

        def discover() -> None:
            known: list[dict[str, object]] = []
            while not over.wait(DISCOVERY_S):
                now = _targets(exporter, history, namespace)
                if now != known:
                    found.discover(now)
                    known = now

        thread = threading.Thread(target=discover, name="discovery")
        thread.start()
        try:
            found.start()
            yield found
        finally:
            over.set()
            thread.join()
            found.stop()


def _targets(exporter: Exporter, history: History, namespace: str) -> list[dict[str, object]]:
    pods = [pod["metadata"] for pod in history.present(POD)]
    names = sorted(pod["name"] for pod in pods if SERVICE_LABEL in (pod.get("labels") or {}))
    return [_target(exporter, namespace, name) for name in names]


def _target(exporter: Exporter, namespace: str, pod: str) -> dict[str, object]:
    labels = {"__metrics_path__": f"/{namespace}/{pod}", "namespace": namespace, "pod": pod}
    return {"targets": [f"127.0.0.1:{exporter.port}"], "labels": labels}


def _config(targets: Path) -> dict[str, object]:
    return {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL},
        "scrape_configs": [{"job_name": "pods", "file_sd_configs": [{"files": [str(targets)]}]}],
    }
