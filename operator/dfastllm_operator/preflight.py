"""Whether the operator can work at all: the API server answers, the CRD is there, RBAC suffices.

Asked once before anything else, and the first two again and again for readiness.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import NamedTuple

import structlog

from dfastllm_operator.access import NoAccess
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.discovery import Discovery
from dfastllm_operator.errors import ApiError, Busy, Forbidden
from dfastllm_operator.kinds import LEASE, SERVICE_RESOURCE, Kind
from dfastllm_operator.rbac import SERVICES

logger = structlog.get_logger("preflight")

AT_ONCE = 8
"""Access reviews under way at a time."""


class NotInstalled(Exception):
    """The CRD is missing."""


class NotAllowed(Exception):
    """A permission is missing without which nothing works."""


class _Wish(NamedTuple):
    """A permission to ask about, and whether nothing works without it."""

    verb: str
    kind: Kind
    scope: str | None
    subresource: str = ""
    name: str = ""
    vital: bool = False

    def __str__(self) -> str:
        resource = "/".join(filter(None, (self.kind.plural, self.subresource)))
        group = f" of {self.kind.group}" if self.kind.group else ""
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {resource}{group}{named} in {self.scope or 'all namespaces'}"


class Preflight:
    """Checks of the ground the operator stands on; `lease` is the namespace and name of its Lease.

    The Lease is left out where there is no election.
    """

    def __init__(
        self,
        cluster: Cluster,
        discovery: Discovery,
        scopes: Iterable[str | None],
        lease: tuple[str, str] | None = None,
        *,
        patience_s: float = 300.0,
        every_s: float = 10.0,
        retry_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._discovery = discovery
        self._scopes = tuple(scopes)
        self._lease = lease
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
        wishes = [*self._for_services(), *[wish async for wish in self._for_leading()]]
        allowed = await asyncio.gather(*(self._may(limit, wish) for wish in wishes))
        missing = [wish for wish, may in zip(wishes, allowed, strict=True) if not may]
        if vital := [str(wish) for wish in missing if wish.vital]:
            raise NotAllowed(f"this account may not {', nor '.join(vital)}; see manifests/rbac")
        for wish in missing:
            logger.warning("a permission is missing", permission=str(wish))

    def _for_services(self) -> Iterator[_Wish]:
        for grant in SERVICES:
            if grant.kind in self._discovery.missing:
                continue
            for verb in grant.verbs:
                for scope in self._scopes:
                    vital = grant.kind == SERVICE_RESOURCE
                    yield _Wish(verb, grant.kind, scope, grant.subresource, vital=vital)

    async def _for_leading(self) -> AsyncIterator[_Wish]:
        if self._lease is None:
            return
        namespace, name = self._lease
        for verb in ("get", "update"):
            yield _Wish(verb, LEASE, namespace, name=name, vital=True)
        try:
            there = await self._cluster.exists(LEASE, namespace, name)
        except Forbidden:
            there = True  # said already
        if not there:
            yield _Wish("create", LEASE, namespace, vital=True)

    async def _may(self, limit: asyncio.Semaphore, wish: _Wish) -> bool:
        async with limit:
            return await self._cluster.may(
                wish.verb, wish.kind, wish.scope, wish.subresource, wish.name
            )
