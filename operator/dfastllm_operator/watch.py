"""Hear of every child: list a kind, follow its changes, list anew from time to time.

One mechanism for kinds that every cluster has and for kinds whose CRD comes later; `discovery` says
which are served. What is heard goes to the store, and wakes the service it belongs to.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Json, Key
from dfastllm_operator.errors import ApiError, Forbidden, NotFound
from dfastllm_operator.faults import GONE, Silent
from dfastllm_operator.kinds import ENDPOINT_SLICE, Kind
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.names import SELECTOR
from dfastllm_operator.store import Store
from dfastllm_operator.workqueue import Backoff

logger = structlog.get_logger("watch")

Wake = Callable[[Key], None]
SELECTORS = {ENDPOINT_SLICE: f"{SELECTOR},component=predictor"}
"""A slice is labelled as its Service is: only those of KServe's, for the slots, are of interest."""
HASTE_S = 1.0
"""A stream that ends sooner and without a word counts as a failure, or it would be a hot loop."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and for how long; seconds."""

    resync_s: float = 600.0
    stream_s: float = 56.0
    inactivity_s: float = 70.0
    backoff: Backoff = field(default_factory=lambda: Backoff(base_s=0.2, cap_s=10.0))


class Watch:
    """One kind in one namespace, or in all."""

    def __init__(
        self,
        kind: Kind,
        namespace: str | None,
        cluster: Cluster,
        store: Store,
        wake: Wake,
        *,
        pace: Pace | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self._selector = SELECTORS.get(kind, SELECTOR)
        self.synced = asyncio.Event()
        """Set once the kind was listed, or cannot be."""
        self.trouble = ""
        """Why it hears nothing, as far as it knows; empty when all is well."""
        self._cluster = cluster
        self._store = store
        self._wake = wake
        self._pace = pace or Pace()
        self._metrics = metrics or Metrics()
        self._clock = clock
        self._version = ""
        self._relist_at = 0.0
        self._heard_at = clock()

    def silent_s(self) -> float:
        """How long ago there was a sign of life: an event, a bookmark, an end, or an error."""
        return self._clock() - self._heard_at

    async def run(self) -> None:
        """Until cancelled; the kind may come and go meanwhile."""
        failures = 0
        while True:
            try:
                if not self._version or self._clock() >= self._relist_at:
                    await self._list()
                failures = 0 if await self._follow() else failures + 1
            except Silent:
                self._metrics.watch_restarts.labels(self.kind.kind).inc()
                logger.warning("silent watch is opened anew", kind=str(self.kind))
            except ApiError as error:
                failures += 1
                self._failed(error)
            if failures:
                await asyncio.sleep(self._pace.backoff.delay_s(failures))

    async def _list(self) -> None:
        held, version = await self._cluster.list(
            self.kind, self.namespace, self._store.hold, label_selector=self._selector
        )
        for key in self._store.replace(self.kind, self.namespace, held, version):
            self._wake(key)
        self._version = version
        # Jitter, so that the kinds do not all come at once.
        self._relist_at = self._clock() + self._pace.resync_s * random.uniform(0.9, 1.1)
        self._heard_at = self._clock()
        self._well()
        self.synced.set()

    async def _follow(self) -> bool:
        """One stream to its end; False when that came at once and without a word."""
        began = self._clock()
        heard = False
        stream = self._cluster.watch(
            self.kind,
            self.namespace,
            self._version,
            label_selector=self._selector,
            timeout_s=min(self._pace.stream_s, max(1.0, self._relist_at - began)),
            silence_s=self._pace.inactivity_s,
        )
        async with aclosing(stream) as events:
            async for event, obj in events:
                heard = True
                self._heard_at = self._clock()
                self._well()
                self._take(event, obj)
        self._heard_at = self._clock()
        return heard or self._heard_at - began >= HASTE_S

    def _take(self, event: str, obj: Json) -> None:
        self._version = str(obj["metadata"]["resourceVersion"])
        if event == "BOOKMARK":
            return
        remember = self._store.remove if event == "DELETED" else self._store.put
        key = remember(self.kind, obj)
        if key is not None:
            self._wake(key)

    def _failed(self, error: ApiError) -> None:
        self._heard_at = self._clock()
        self._metrics.watch_restarts.labels(self.kind.kind).inc()
        if error.status == GONE:
            self._version = ""
            return
        if isinstance(error, Forbidden | NotFound):
            self._version = ""
            self.synced.set()  # nothing will come; the others need not wait for it
        if str(error) != self.trouble:
            logger.warning("watch failed", kind=str(self.kind), error=str(error))
        self.trouble = str(error)

    def _well(self) -> None:
        if self.trouble:
            logger.info("watch recovered", kind=str(self.kind), namespace=self.namespace)
            self.trouble = ""
