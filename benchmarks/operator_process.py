"""The operator in a process of its own, watched from outside: memory, CPU, writes, when it rests.

with operator_stage(rig) as stage:
    operator = stage.start()
    operator.settle(services=0)
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

import benchmarks.testbed  # noqa: F401
from cluster.processes import Guard
from cluster.rig import Rig
from support.installed import ACCOUNT, grant, install_crd, install_runtimes
from support.kubeapi import KubeApi
from support.operators import GATEWAY

# All else is as shipped.
SETTINGS = {
    "health_host": "127.0.0.1",
    "health_port": 0,
    "gateway": GATEWAY,
    "hub_endpoint": "none",
    "log_format": "json",
}
WITHIN_S = 900.0
LEAVING_S = 20.0
POLL_S = 0.1
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class OperatorProcess:
    """`python -m dfastllm_operator run`, settings as shipped."""

    def __init__(self, settings: Mapping[str, Any], log: Path, guard: Guard) -> None:
        self._log = log
        self._guard = guard
        environ = {k: v for k, v in os.environ.items() if not k.startswith("DFASTLLM_")}
        environ |= {f"DFASTLLM_OPERATOR_{k.upper()}": str(v) for k, v in settings.items()}
        self.began = time.time()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dfastllm_operator", "run"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environ,
                start_new_session=True,
            )
        guard.started(self._process.pid)

    def stop(self) -> None:
        """As Kubernetes does it. Nothing happens if it has ended."""
        self._process.terminate()
        self._process.wait(LEAVING_S)
        self._guard.stopped(self._process.pid)

    @property
    def rss_mb(self) -> float:
        return self._memory_mb("VmRSS")

    @property
    def peak_mb(self) -> float:
        return self._memory_mb("VmHWM")

    @property
    def cpu_s(self) -> float:
        """User and system time of all threads."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) * _TICK_S

    def writes(self) -> Counter[str]:
        """Writes so far, by kind."""
        return self._by("dfastllm_operator_writes_total", "kind")

    def requests(self) -> Counter[str]:
        """Requests so far, by verb."""
        return self._by("dfastllm_operator_requests_total", "verb")

    def synced_s(self) -> float:
        """From the start of the process to the first reconcile."""
        self._until(lambda: bool(self._said("synced")), "synced")
        return _time(self._said("synced")[0]) - self.began

    def looked_at_all_s(self, services: int) -> float:
        """From the start until every service was looked at and the queue is empty."""
        self._until(lambda: self._at_rest(services), f"{services} services looked at")
        return time.time() - self.began

    def settle(self, services: int, calm_s: float = 2.0) -> float:
        """Wait until it rests; the time (since the epoch) of the last thing it changed.

        It logs each reconcile that changed something: a log that does not grow costs it nothing to
        watch, which its metrics would.
        """

        def calm() -> bool:
            size = self._log.stat().st_size
            time.sleep(calm_s)
            return size == self._log.stat().st_size and self._at_rest(services)

        self.synced_s()
        self._until(calm, f"{services} services settled")
        return _time((self._said("reconciled") or self._said())[-1])

    def _at_rest(self, services: int) -> bool:
        known = self._by("dfastllm_operator_services", "phase").total()
        return known == services and not self._by("dfastllm_operator_queue_depth", "").total()

    def _by(self, name: str, label: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for family in text_string_to_metric_families(self._metrics()):
            for sample in family.samples:
                if sample.name == name:
                    found[sample.labels.get(label, "")] += round(sample.value)
        return found

    def _memory_mb(self, field: str) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024 / 1e6

    def _metrics(self) -> str:
        (line,) = self._said("listening")
        with urllib.request.urlopen(
            f"http://127.0.0.1:{line['port']}/metrics", timeout=30
        ) as reply:
            return str(reply.read().decode())

    def _said(self, message: str = "") -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in told if message in ("", line["message"])]

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + WITHIN_S
        while not condition():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the operator: not {what}\n{self._log.read_text()[-4000:]}")
            time.sleep(POLL_S)


class OperatorStage:
    """A cluster with the CRD, and an account with the rights that the operator ships with."""

    def __init__(self, rig: Rig, guard: Guard, namespace: str) -> None:
        self.rig = rig
        self.namespace = namespace
        self._guard = guard
        self._kubeconfig = rig.service_account_kubeconfig(namespace, ACCOUNT)
        self._operators: list[OperatorProcess] = []

    def start(self) -> OperatorProcess:
        """One more, cluster-wide; the one before must have been stopped."""
        log = self.rig.folder / f"operator-{len(self._operators)}.log"
        settings = {
            **SETTINGS,
            "kubeconfig": self._kubeconfig,
            "lease_namespace": self.namespace,
        }
        self._operators.append(OperatorProcess(settings, log, self._guard))
        return self._operators[-1]

    def end(self) -> None:
        for operator in self._operators:
            operator.stop()


@contextmanager
def operator_stage(rig: Rig) -> Iterator[OperatorStage]:
    api = KubeApi(rig)
    guard = Guard(rig.folder / "operators")  # ends what runs if this process dies
    try:
        with rig.namespace() as namespace:
            install_crd(api)
            install_runtimes(api, namespace)
            grant(api, namespace, clusterwide=True)
            stage = OperatorStage(rig, guard, namespace)
            try:
                yield stage
            finally:
                stage.end()
    finally:
        api.close()
        guard.close()


def _time(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()
