"""The operator as a real process against the rig, with no more rights than it ships with.

with staged(rig) as stage:
    stage.services.create()
    stage.services.ready()

A stage is a namespace of its own with an account, a proxy in front of the API server, and operator
processes that go through it. Nothing of it is left afterwards.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import yaml

from cluster.processes import Guard
from cluster.rig import Rig
from dfastllm_operator.kinds import SERVICE_ACCOUNT
from support.faultproxy import FaultProxy
from support.installed import ACCOUNT, grant, install_crd, install_runtimes
from support.kubeapi import Json, KubeApi
from support.process import until
from support.services import Services
from support.zygote import Forked, forked

TESTS = Path(__file__).parents[1]
LEAVING_S = 10.0  # the promise: from SIGTERM to the exit
READY_S = 60.0
UNAUTHORIZED = 401
GATEWAY = "kserve/kserve-ingress-gateway"
SETTINGS = {
    # A tenth of what an installation has, as far as a busy machine of two cores can bear it.
    "lease_duration_s": 3,
    "renew_deadline_s": 2,
    "retry_period_s": 0.3,
    "backoff_base_s": 0.05,
    "backoff_cap_s": 3,
    "resync_s": 60,
    "discovery_s": 1,
    "recheck_s": 1,
    "request_timeout_s": 3,
    "connect_timeout_s": 1,
    "watch_timeout_s": 30,
    "watch_inactivity_s": 7,
    "watch_silent_s": 12,
    "queue_stuck_s": 12,
    "outage_s": 30,
    "shutdown_s": 2,
    "health_host": "127.0.0.1",
    "health_port": 0,
    "gateway": GATEWAY,
    "hub_endpoint": "none",
    "log_format": "json",
}


class Operator:
    """One process; the log is what it wrote so far."""

    def __init__(
        self, command: Sequence[str], settings: Mapping[str, Any], log: Path, guard: Guard
    ) -> None:
        self.log_file = log
        log.touch()
        self._guard = guard
        environ = {k: v for k, v in os.environ.items() if not k.startswith("DFASTLLM_")}
        environ["PYTHONPATH"] = os.pathsep.join((str(TESTS), os.environ.get("PYTHONPATH", "")))
        for name, value in settings.items():
            environ[f"DFASTLLM_OPERATOR_{name.upper()}"] = str(value)
        self.process = _started(command, environ, log)
        guard.started(self.process.pid)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> list[Json]:
        lines = self.log_file.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, message: str) -> list[Json]:
        return [line for line in self.log if line.get("message") == message]

    @cached_property
    def health(self) -> str:
        """Address of /livez, /readyz and /metrics."""

        def port() -> int | None:
            assert self.running, f"the operator ended: {self.tail()}"
            return next((int(line["port"]) for line in self.said("listening")), None)

        return f"http://127.0.0.1:{until(port, 'the health port')}"

    def status(self, path: str) -> int:
        """HTTP status, 0 when nobody answers."""
        try:
            return httpx.get(self.health + path, timeout=2, trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def metrics(self) -> str:
        return httpx.get(f"{self.health}/metrics", timeout=5, trust_env=False).text

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.running, f"the operator ended: {self.tail()}"
            return self.status("/readyz") == 200

        until(ready, "operator ready", READY_S)

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_file.read_text().splitlines()[-lines:])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Without a chance to do anything more. May be called twice, and from any thread."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)

    def wait(self, within_s: float = READY_S) -> int:
        """The exit status."""
        status = self.process.wait(within_s)
        self._guard.stopped(self.process.pid)
        return status

    def stop(self) -> None:
        """As Kubernetes does it; it must go by itself, in time, and without an error."""
        if not self.running:
            self.wait()
            return
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            status = self.wait(LEAVING_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
            raise AssertionError(f"not gone {LEAVING_S} s after SIGTERM: {self.tail()}") from None
        took = time.monotonic() - began
        assert status == 0, f"exit status {status} after {took:.1f} s: {self.tail()}"


def _started(
    command: Sequence[str], environ: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes] | Forked":
    """The operator itself comes out of the zygote; what else is asked for is started as it is."""
    if not command:
        return forked(["run"], environ, log)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, *command, "run"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environ,
            start_new_session=True,
        )


@dataclass
class Stage:
    """Where operators of one namespace play. `operator` is the one that was started last."""

    rig: Rig
    api: KubeApi
    namespace: str
    proxy: FaultProxy
    folder: Path
    guard: Guard
    clusterwide: bool = False
    operators: list[Operator] = field(default_factory=list)

    @cached_property
    def services(self) -> Services:
        return Services(self.api, self.namespace, self.logs)

    @property
    def operator(self) -> Operator:
        return self.operators[-1]

    def start(
        self,
        *,
        proxy: FaultProxy | None = None,
        command: Sequence[str] = (),
        wait: bool = True,
        **settings: Any,
    ) -> Operator:
        """One more operator, ready unless `wait` is off; `settings` replace the usual ones."""
        number = len(self.operators)
        given: dict[str, Any] = {
            **SETTINGS,
            "namespaces": "" if self.clusterwide else self.namespace,
            "lease_namespace": self.namespace,
            "leader_elect": False,
            "kubeconfig": self.kubeconfig(proxy or self.proxy),
            **settings,
        }
        log = self.folder / f"operator-{number}.log"
        operator = Operator(command, given, log, self.guard)
        self.operators.append(operator)
        if wait:
            operator.wait_ready()
        return operator

    def restart(self, **options: Any) -> Operator:
        """After the last one was killed."""
        self.operator.kill()
        self.operator.wait()
        return self.start(**options)

    def kubeconfig(self, proxy: FaultProxy) -> Path:
        """The account's own token, with the proxy in the API server's place."""
        content = yaml.safe_load(self._account_file.read_text())
        content["clusters"][0]["cluster"] = {"server": proxy.url}
        path = self.folder / f"{proxy.url.rpartition(':')[2]}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))
        return path

    def renew_token(self) -> str:
        """A new account of the old name, in every kubeconfig; the token that is void now."""
        old = self._token()
        self.api.delete(SERVICE_ACCOUNT, self.namespace, ACCOUNT)
        self.api.apply(SERVICE_ACCOUNT, self.namespace, {"metadata": {"name": ACCOUNT}})
        self._account_file.unlink()
        new = self._token()
        for path in self.folder.glob("*.kubeconfig"):
            path.write_text(path.read_text().replace(old, new))
        return old

    def accepts(self, token: str) -> bool:
        """Whether the API server knows who that is."""
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.proxy.url}/api/v1/namespaces/{self.namespace}/pods"
        return httpx.get(url, headers=headers, trust_env=False).status_code != UNAUTHORIZED

    def _token(self) -> str:
        content = yaml.safe_load(self._account_file.read_text())
        return str(content["users"][0]["user"]["token"])

    @property
    def _account_file(self) -> Path:
        path = self.rig.folder / f"{self.namespace}-{ACCOUNT}.kubeconfig"
        if not path.exists():
            self.rig.service_account_kubeconfig(self.namespace, ACCOUNT)
        return path

    def logs(self) -> str:
        """What an engineer wants to see of a failed test."""
        return "\n".join(
            f"--- operator {number}, exit status {operator.process.returncode}\n{operator.tail()}"
            for number, operator in enumerate(self.operators)
        )


@contextmanager
def staged(rig: Rig, *, start: bool = True, clusterwide: bool = False) -> Iterator[Stage]:
    """A stage with one operator on it, unless `start` is off."""
    folder = Path(tempfile.mkdtemp(prefix="dfastllm-stage-"))
    guard = Guard(folder)  # ends what runs if this process dies; removes the folder
    api = KubeApi(rig)
    try:
        with rig.namespace() as namespace, FaultProxy(rig.url, rig.ca) as proxy:
            install_crd(api)
            grant(api, namespace, clusterwide=clusterwide)
            install_runtimes(api, namespace)
            stage = Stage(rig, api, namespace, proxy, folder, guard, clusterwide)
            try:
                if start:
                    stage.start()
                yield stage
                for operator in stage.operators:
                    operator.stop()
            except BaseException:
                print(stage.logs())
                raise
            finally:
                for operator in stage.operators:
                    operator.kill()
                    operator.wait()
    finally:
        api.close()
        guard.close()
