"""What the leading replica does: hear of everything, reconcile what is due.

Nothing is reconciled before every kind has been listed once, or what merely has not been heard of
yet would be made again.
"""

import asyncio
import random
import time
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol

import structlog

from dfastllm_operator import memory
from dfastllm_operator.access import Access
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Key
from dfastllm_operator.crwatch import CustomResourceWatch, Patience
from dfastllm_operator.discovery import Discovery
from dfastllm_operator.errors import ApiError
from dfastllm_operator.kinds import WATCHED, Kind
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.rollcall import RollCall
from dfastllm_operator.settings import Settings
from dfastllm_operator.store import Store
from dfastllm_operator.watch import Pace, Watch
from dfastllm_operator.watches import Watches
from dfastllm_operator.workqueue import Backoff, WorkQueue

logger = structlog.get_logger("operator")

WATCH_BACKOFF = Backoff(base_s=0.2, cap_s=10.0)
KOPF_LEAVES_S = 2.0


class Ended(Exception):
    """A part of the operator ended that should go on for ever."""


class Reconciles(Protocol):
    """The part of `reconcile.Reconciler` that work is about."""

    async def reconcile(self, key: Key) -> float | None: ...


class Work:
    """The watches, the queue and the workers of a leader. To be run once."""

    def __init__(
        self,
        settings: Settings,
        access: Access,
        cluster: Cluster,
        discovery: Discovery,
        metrics: Metrics,
        store: Store,
        reconciler: Reconciles,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._discovery = discovery
        self._metrics = metrics
        self._store = store
        self._reconciler = reconciler
        self._queue = WorkQueue(
            Backoff(settings.backoff_base_s, settings.backoff_cap_s),
            rest_s=settings.rest_s,
            on_failure=self._failed,
        )
        self._watches = Watches(settings.scopes, store, self._queue.add, self._watch)
        # A quarter and a half: red no later than the setting says, counted from a change unheard.
        self._roll_call = RollCall(
            cluster,
            store,
            self._queue.add,
            settings.scopes,
            every_s=min(settings.resync_s, settings.watch_silent_s / 4),
        )
        self._kopf = CustomResourceWatch(
            access, settings.namespaces, self._roll_call.tell, _patience(settings)
        )

    async def run(self, stop: asyncio.Event, renewing: Coroutine[Any, Any, None]) -> None:
        """Until `stop`, or until a part of it, `renewing` among them, raises or ends."""
        serving = asyncio.create_task(self._serve(), name="the workers")
        ends: list[asyncio.Future[Any]] = [
            serving,
            asyncio.create_task(renewing, name="the Lease"),
            asyncio.create_task(self._discovery.run(self._kinds_changed), name="discovery"),
            asyncio.create_task(self._roll_call.run(), name="the roll call"),
            asyncio.create_task(self._resync(), name="the resync"),
            self._watches.failed,
            self._kopf.ended,
        ]
        stopped = asyncio.create_task(stop.wait())
        self._kopf.start()
        try:
            await asyncio.wait([stopped, *ends], return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                self._queue.close()
                await asyncio.wait([serving], timeout=self._settings.shutdown_s)
            else:
                _raise_first(ends)
        finally:
            stopped.cancel()
            await self._close([end for end in ends if isinstance(end, asyncio.Task)])

    def problems(self) -> Iterator[str]:
        """Why the process should be started afresh; nothing when it works."""
        settings = self._settings
        stuck_s = self._queue.stuck_s()
        if stuck_s > settings.queue_stuck_s:
            yield f"the queue has been stuck for {stuck_s:.0f} s"
        yield from self._watches.silent(settings.watch_silent_s)
        deaf_s = self._roll_call.deaf_s()
        if deaf_s > settings.watch_silent_s / 2:
            yield f"the watch of the services has missed something for {deaf_s:.0f} s"
        if self._kopf.ended.done():
            yield "the watch of the services has ended"

    def measure(self) -> None:
        """Update the metrics that are read rather than counted."""
        self._metrics.queue_depth.set(self._queue.depth())
        self._metrics.queue_oldest.set(self._queue.oldest_age_s())

    async def _serve(self) -> None:
        self._watches.serve(self._discovery.served(WATCHED))
        await self._fill()
        await self._watches.synced()
        self._wake_all()
        memory.give_back()
        logger.info("synced", services=len(self._store.keys()))
        await self._queue.run(self._reconcile, self._settings.workers)

    async def _fill(self) -> None:
        """List the services; the first thing a leader needs, so tried until it works."""
        failures = 0
        while True:
            try:
                return await self._roll_call.first()
            except ApiError as error:
                failures += 1
                logger.warning("services cannot be listed", error=str(error))
                await asyncio.sleep(WATCH_BACKOFF.delay_s(failures))

    async def _reconcile(self, key: Key) -> float | None:
        began = time.monotonic()
        result = "error"
        try:
            again_s = await self._reconciler.reconcile(key)
            result = "ok"
            return again_s
        finally:
            took_s = time.monotonic() - began
            self._metrics.reconcile_duration.labels(result).observe(took_s)

    def _failed(self, key: Key, error: Exception, again_s: float) -> None:
        self._metrics.reconcile_errors.labels(type(error).__name__).inc()
        logger.warning(
            "reconcile failed",
            service=str(key),
            error=str(error),
            again_s=round(again_s, 1),
            exc_info=None if isinstance(error, ApiError) else error,
        )

    def _kinds_changed(self) -> None:
        self._watches.serve(self._discovery.served(WATCHED))
        self._wake_all()

    async def _resync(self) -> None:
        """Every service now and then, spread over a tenth of the time."""
        every_s = self._settings.resync_s
        while True:
            await asyncio.sleep(every_s * random.uniform(0.9, 1.1))
            self._wake_all(spread_s=every_s / 10)

    def _wake_all(self, spread_s: float = 0.0) -> None:
        services = self._store.keys()
        for key in services:
            self._queue.add_after(key, random.uniform(0, spread_s))

    def _watch(self, kind: Kind, scope: str | None) -> Watch:
        settings = self._settings
        pace = Pace(
            settings.resync_s,
            settings.stream_s,
            settings.watch_inactivity_s,
            WATCH_BACKOFF,
        )
        return Watch(
            kind,
            scope,
            self._cluster,
            self._store,
            self._queue.add,
            pace=pace,
            metrics=self._metrics,
        )

    async def _close(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._watches.close()
        await self._kopf.close(KOPF_LEAVES_S)


def _raise_first(ends: list[asyncio.Future[Any]]) -> None:
    for end in ends:
        if end.done():
            error = end.exception()
            name = end.get_name() if isinstance(end, asyncio.Task) else "a watch"
            raise error if isinstance(error, Exception) else Ended(f"{name} ended: {error!r}")


def _patience(settings: Settings) -> Patience:
    return Patience(
        request_s=settings.request_timeout_s,
        connect_s=settings.connect_timeout_s,
        stream_s=settings.stream_s,
        inactivity_s=settings.watch_inactivity_s,
        outage_s=settings.outage_s,
    )
