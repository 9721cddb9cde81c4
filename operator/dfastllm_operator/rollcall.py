"""Who should be there: the DFastLLMServices listed by ourselves, against what kopf told.

kopf has no resync, and a watch that has gone deaf looks like one where nothing happens. So the
services are listed from time to time (names and versions only); what kopf missed is made up for at
once, and how long it has been missing says whether kopf still hears.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable

import structlog

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Json, Key
from dfastllm_operator.errors import ApiError
from dfastllm_operator.kinds import SERVICE_RESOURCE, Kind
from dfastllm_operator.store import Store
from dfastllm_operator.watch import Wake

logger = structlog.get_logger("rollcall")


class RollCall:
    """Takes kopf's events, and calls the roll of all services every `every_s`."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        wake: Wake,
        scopes: Iterable[str | None],
        *,
        every_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._wake = wake
        self._scopes = tuple(scopes)
        self._every_s = every_s
        self._clock = clock
        self._told: dict[Key, int] = {}
        """Versions that kopf told of."""
        self._untold: dict[Key, float] = {}
        """Since when kopf has been behind."""

    def tell(self, event: str, obj: Json) -> None:
        """An event of kopf's; its type is empty for an object of kopf's first list."""
        key = _key(obj)
        self._untold.pop(key, None)
        if event == "DELETED":
            self._told.pop(key, None)
            changed = self._store.remove(SERVICE_RESOURCE, obj)
        else:
            self._told[key] = _version(obj)
            changed = self._store.put(SERVICE_RESOURCE, obj)
        if changed is not None:
            self._wake(changed)

    def deaf_s(self) -> float:
        """For how long kopf has not told of something that is there."""
        return self._clock() - min(self._untold.values(), default=self._clock())

    async def first(self) -> None:
        """Fill the store, without waiting for kopf."""
        for scope in self._scopes:
            await self._fill(scope)

    async def run(self) -> None:
        """Until cancelled. When the API server cannot be asked, kopf is not to blame."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.call()
            except ApiError as error:
                self._untold.clear()
                logger.warning("services cannot be listed", error=str(error))

    async def call(self) -> None:
        behind: set[Key] = set()
        for scope in self._scopes:
            found, version = await self._cluster.list(
                SERVICE_RESOURCE, scope, _present, metadata_only=True
            )
            present = dict(found)
            self._drop_missing(scope, present, version)
            late = {key: v for key, v in present.items() if v > self._told.get(key, 0)}
            behind |= set(late)
            if any(v > self._store.version(SERVICE_RESOURCE, *key) for key, v in late.items()):
                await self._fill(scope)
        # Some of it may be on its way; only what stays behind says that kopf is deaf.
        now = self._clock()
        self._untold = {key: self._untold.get(key, now) for key in behind}

    def _drop_missing(self, scope: str | None, there: Collection[Key], version: str) -> None:
        """Forget services that are gone, unless they were made after the list was."""
        as_of = int(version) if version.isdigit() else 0
        known = self._store.keys()
        for key in known:
            if key in there or (scope is not None and key.namespace != scope):
                continue
            if self._store.version(SERVICE_RESOURCE, *key) <= as_of:
                gone: Json = {"metadata": {"namespace": key.namespace, "name": key.name}}
                self._told.pop(key, None)
                self._store.remove(SERVICE_RESOURCE, gone)
                self._wake(key)

    async def _fill(self, scope: str | None) -> None:
        services, version = await self._cluster.list(SERVICE_RESOURCE, scope, self._store.hold)
        for key in self._store.replace(SERVICE_RESOURCE, scope, services, version):
            self._wake(key)


def _key(obj: Json) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])


def _present(_: Kind, obj: Json) -> tuple[Key, int]:
    return _key(obj), _version(obj)


def _version(obj: Json) -> int:
    version = str(obj["metadata"].get("resourceVersion", ""))
    return int(version) if version.isdigit() else 0
