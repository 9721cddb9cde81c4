"""Which optional kinds and metrics APIs the cluster serves now; asked again and again.

Needs no permission: every account may read the API server's discovery documents.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.errors import ApiError
from dfastllm_operator.kinds import SERVING_RUNTIME, WATCHED, Kind

logger = structlog.get_logger("discovery")

OPTIONAL = tuple(kind for kind in (*WATCHED, SERVING_RUNTIME) if kind.optional)
METRICS_APIS = frozenset({"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"})


class Discovery:
    """What was found at the last look."""

    def __init__(self, cluster: Cluster, *, every_s: float = 30.0) -> None:
        self._cluster = cluster
        self._every_s = every_s
        self.missing: frozenset[Kind] = frozenset(OPTIONAL)
        self.metrics_apis: frozenset[str] = frozenset()

    def served(self, kinds: Iterable[Kind]) -> list[Kind]:
        return [kind for kind in kinds if kind not in self.missing]

    async def look(self) -> bool:
        """Whether it is not what it was; the error of the API server is the caller's."""
        groups = await self._cluster.groups()
        missing = frozenset([kind for kind in OPTIONAL if not await self._serves(kind, groups)])
        before = self.missing, self.metrics_apis
        self.missing, self.metrics_apis = missing, groups & METRICS_APIS
        if before == (self.missing, self.metrics_apis):
            return False
        logger.info(
            "discovered",
            missing=sorted(kind.kind for kind in missing),
            metrics_apis=sorted(self.metrics_apis),
        )
        return True

    async def run(self, changed: Callable[[], None]) -> None:
        """Until cancelled. What cannot be found out stays as it was."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                if await self.look():
                    changed()
            except ApiError as error:
                logger.warning("discovery failed", error=str(error))

    async def _serves(self, kind: Kind, groups: frozenset[str]) -> bool:
        return kind.group in groups and kind.plural in await self._cluster.served(kind.api_version)
