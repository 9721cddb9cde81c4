"""Whether the operator can work at all: the API server answers, the CRD is there, RBAC suffices.

Asked once before anything else, and the first two again and again for readiness.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from dfastllm_operator.access import NoAccess
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.discovery import Discovery
from dfastllm_operator.errors import ApiError, Busy
from dfastllm_operator.kinds import SERVICE_RESOURCE
from dfastllm_operator.rbac import SERVICES, Grant

logger = structlog.get_logger("preflight")

AT_ONCE = 8
"""Access reviews under way at a time."""


class NotInstalled(Exception):
    """The CRD is missing."""


class NotAllowed(Exception):
    """A permission is missing without which nothing works."""


class Preflight:
    """Checks of the ground the operator stands on."""

    def __init__(
        self,
        cluster: Cluster,
        discovery: Discovery,
        scopes: Iterable[str | None],
        *,
        patience_s: float = 300.0,
        every_s: float = 10.0,
        retry_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._discovery = discovery
        self._scopes = tuple(scopes)
        self._patience_s = patience_s
        self._every_s = every_s
        self._retry_s = retry_s
        self._clock = clock
        self.problem = "the API server has not been asked yet"
        """Why the operator is not ready; empty when it is."""

    async def first(self) -> None:
        """Raise NotInstalled or NotAllowed; an API server that is busy is waited for."""
        began = self._clock()
        while True:
            try:
                await self._look()
                await self._discovery.look()
                await self._permissions()
                return
            except Busy as error:
                self.problem = str(error)
                if self._clock() - began > self._patience_s:
                    raise
                logger.warning("waiting for the API server", error=str(error))
                await asyncio.sleep(self._retry_s)

    async def run(self) -> None:
        """Until cancelled: keep `problem` up to date."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._look()
            except (ApiError, NotInstalled, NoAccess) as error:
                self.problem = str(error)

    async def _look(self) -> None:
        if SERVICE_RESOURCE.plural not in await self._cluster.served(SERVICE_RESOURCE.api_version):
            raise NotInstalled(
                f"the API server has no {SERVICE_RESOURCE.plural}.{SERVICE_RESOURCE.group}: "
                "install the CRD first (dfastllm-operator crd | kubectl apply --server-side -f -)"
            )
        self.problem = ""

    async def _permissions(self) -> None:
        limit = asyncio.Semaphore(AT_ONCE)
        reviews = [
            self._missing(limit, grant, verb, scope)
            for grant in SERVICES
            if grant.kind not in self._discovery.missing
            for verb in grant.verbs
            for scope in self._scopes
        ]
        missing = [text for text in await asyncio.gather(*reviews) if text]
        vital = [text for text in missing if f" {SERVICE_RESOURCE.plural}" in text]
        if vital:
            raise NotAllowed(f"this account may not {', nor '.join(vital)}; see manifests/rbac")
        for text in missing:
            logger.warning("a permission is missing", permission=text)

    async def _missing(
        self, limit: asyncio.Semaphore, grant: Grant, verb: str, scope: str | None
    ) -> str:
        """The permission in words if it is missing, else nothing."""
        async with limit:
            if await self._cluster.may(verb, grant.kind, scope, grant.subresource):
                return ""
        group = f" of {grant.kind.group}" if grant.kind.group else ""
        return f"{verb} {grant.resource}{group} in {scope or 'all namespaces'}"
