"""The running operator: the ground is checked, the Lease acquired, the work done, the process left.

Every way to end has its exit status, so that a pod's history says why it was restarted.
"""

import asyncio
import faulthandler
import os
import signal
import socket
import uuid
from collections.abc import Coroutine, Iterable
from enum import IntEnum
from typing import Any

import structlog

from dfastllm_operator.access import Access, NoAccess
from dfastllm_operator.census import Census
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Platform
from dfastllm_operator.discovery import Discovery
from dfastllm_operator.errors import ApiError, LeaseLost
from dfastllm_operator.health import HealthServer
from dfastllm_operator.leader import Leader, Terms
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.preflight import NotAllowed, NotInstalled, Preflight
from dfastllm_operator.ratelimit import RateLimit
from dfastllm_operator.reconcile import Reconciler
from dfastllm_operator.settings import Settings, SettingsError
from dfastllm_operator.sizing.hub import Hub
from dfastllm_operator.store import Store
from dfastllm_operator.transport import Timeouts
from dfastllm_operator.work import Ended, Work

logger = structlog.get_logger("operator")

LAST_RESORT_S = 4.0
"""How long leaving may take on top of `shutdown_s` before the process is ended by force."""


class Exit(IntEnum):
    """Why the process ended."""

    STOPPED = 0
    BROKEN = 1
    USAGE = 2
    LEASE_LOST = 3
    NOT_ALLOWED = 4
    NOT_INSTALLED = 5
    NO_ACCESS = 6


_CAUSES: dict[type[Exception], Exit] = {
    LeaseLost: Exit.LEASE_LOST,
    NotAllowed: Exit.NOT_ALLOWED,
    NotInstalled: Exit.NOT_INSTALLED,
    NoAccess: Exit.NO_ACCESS,
    ApiError: Exit.NO_ACCESS,
    SettingsError: Exit.USAGE,
    Ended: Exit.BROKEN,
}


async def run(settings: Settings) -> Exit:
    """Run until SIGTERM or until something ends the operator; the log says what that was."""
    logger.info("settings", **settings.model_dump())
    stop = asyncio.Event()
    _stop_at_signals(stop, settings.shutdown_s + LAST_RESORT_S)
    try:
        await Operator(settings).run(stop)
    except tuple(_CAUSES) as error:
        logger.error("stopped", error=str(error))
        return next(exit_ for cause, exit_ in _CAUSES.items() if isinstance(error, cause))
    except Exception:
        logger.exception("stopped")
        return Exit.BROKEN
    logger.info("stopped")
    return Exit.STOPPED


class Operator:
    """The parts of a replica, leading or not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._access = Access(settings.kubeconfig or None)
        self._metrics = Metrics()
        self._health = HealthServer(self._metrics)
        self._cluster = Cluster(
            self._access,
            timeouts=Timeouts(settings.request_timeout_s, settings.connect_timeout_s),
            metrics=self._metrics,
            writes=RateLimit(settings.max_writes_per_s),
        )
        self._discovery = Discovery(self._cluster, every_s=settings.discovery_s)
        self._lease = self._place_of_lease()
        self._preflight = Preflight(
            self._cluster,
            self._discovery,
            settings.scopes,
            self._lease,
            patience_s=settings.outage_s,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Return at `stop`; raise whatever else ends the operator."""
        leader = self._leader()
        checks: asyncio.Task[None] | None = None
        self._health.ready_if(self._problems)
        try:
            await self._listen()
            if await _stopped(stop, self._preflight.first()):
                return
            checks = asyncio.create_task(self._preflight.run())
            if leader is not None:
                self._cluster.permit = leader.permit
                if await _stopped(stop, leader.acquire()):
                    return
            await self._lead(leader, stop)
        finally:
            if checks is not None:
                checks.cancel()
            if leader is not None:
                await leader.release()
            await self._cluster.close()
            await self._health.close()

    async def _listen(self) -> None:
        host, port = self._settings.health_host, self._settings.health_port
        try:
            logger.info("listening", port=await self._health.start(host, port))
        except OSError as error:
            raise SettingsError(f"cannot listen on the health port {port}: {error}") from error

    async def _lead(self, leader: Leader | None, stop: asyncio.Event) -> None:
        store = Store(self._settings.domain, self._settings.gateway)
        work = Work(
            self._settings,
            self._access,
            self._cluster,
            self._discovery,
            self._metrics,
            store,
            self._reconciler(store),
        )
        self._health.alive_if(work.problems)
        self._health.before_metrics(work.measure)
        self._metrics.leader.set(1)
        try:
            await work.run(stop, _forever() if leader is None else leader.keep())
        finally:
            self._metrics.leader.set(0)

    def _reconciler(self, store: Store) -> Reconciler:
        settings = self._settings
        hub = Hub(settings.hub, timeout_s=settings.hub_timeout_s)
        census = Census(self._metrics)
        return Reconciler(
            self._cluster,
            store,
            hub,
            self._platform,
            census,
            reporter=_pod_name(),
            recheck_s=settings.recheck_s,
        )

    def _platform(self) -> Platform:
        settings = self._settings
        return Platform(
            server_image=settings.server_image,
            runtime=settings.runtime,
            gateway=settings.gateway or None,
            domain=settings.domain,
            url_scheme=settings.url_scheme,
            cluster_domain=settings.cluster_domain,
            namespace=self._access.own_namespace(),
            missing=self._discovery.missing,
            metrics_apis=self._discovery.metrics_apis,
        )

    def _problems(self) -> Iterable[str]:
        return [self._preflight.problem] if self._preflight.problem else []

    def _place_of_lease(self) -> tuple[str, str] | None:
        """Namespace and name; None where no leader is elected."""
        settings = self._settings
        if not settings.leader_elect:
            return None
        namespace = settings.lease_namespace or self._access.own_namespace()
        if namespace is None:
            raise SettingsError(
                "no namespace for the Lease: name one with --lease-namespace, "
                "or run a single replica with --no-leader-elect"
            )
        return namespace, settings.lease_name

    def _leader(self) -> Leader | None:
        if self._lease is None:
            return None
        settings = self._settings
        return Leader(
            self._cluster,
            *self._lease,
            f"{_pod_name()}_{uuid.uuid4().hex[:8]}",
            Terms(settings.lease_duration_s, settings.renew_deadline_s, settings.retry_period_s),
        )


async def _stopped(stop: asyncio.Event, step: Coroutine[Any, Any, None]) -> bool:
    """Take the step; True when `stop` came first, and the step was broken off."""
    stopped = asyncio.create_task(stop.wait())
    taken = asyncio.create_task(step)
    await asyncio.wait([stopped, taken], return_when=asyncio.FIRST_COMPLETED)
    if taken.done():
        stopped.cancel()
        taken.result()
        return False
    taken.cancel()
    await asyncio.gather(taken, return_exceptions=True)
    return True


async def _forever() -> None:
    await asyncio.Event().wait()


def _stop_at_signals(stop: asyncio.Event, within_s: float) -> None:
    """At SIGTERM and SIGINT: stop, and be gone after `within_s` even if the event loop is stuck."""
    loop = asyncio.get_running_loop()

    def leave(*_: object) -> None:
        faulthandler.dump_traceback_later(within_s, exit=True)
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


def _pod_name() -> str:
    return os.environ.get("POD_NAME") or socket.gethostname()
