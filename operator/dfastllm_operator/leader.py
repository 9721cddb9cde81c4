"""Lease leader election: of several replicas one works, and only while it is sure that it may.

The client library's own election is not used: it has no time-out on a renewal, so a hanging request
outlives the deadline and two replicas lead; it dies of a network error, writes local time as UTC,
and does not give the Lease back.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Json
from dfastllm_operator.errors import ApiError, Conflict, LeaseLost
from dfastllm_operator.kinds import LEASE

logger = structlog.get_logger("leader")


RELEASE_S = 1.0
"""Leaving does not wait longer than that."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds. A leader gives up at `renew_deadline_s`, before others may take over."""

    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


class Leader:
    """One candidate for one Lease."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._terms = terms or Terms()
        self._clock = clock
        self._held_at = -math.inf
        """When the request was sent that last made the Lease ours."""
        self._lease: Json | None = None
        self._tried = False
        self._seen: tuple[object, ...] = ()
        self._seen_at = -math.inf

    def permit(self) -> float:
        """Seconds until somebody else may lead; LeaseLost when this replica must not write."""
        age = self._clock() - self._held_at
        if age >= self._terms.renew_deadline_s:
            raise LeaseLost(f"the Lease {self._namespace}/{self._name} is not held by this replica")
        return self._terms.duration_s - age

    async def acquire(self) -> None:
        """Return once this replica leads."""
        while True:
            try:
                async with asyncio.timeout(self._terms.renew_deadline_s):
                    if await self._try():
                        logger.info("leading", lease=self._name, identity=self._identity)
                        return
            except (ApiError, TimeoutError) as error:
                logger.warning("cannot ask for the Lease", error=str(error) or "timed out")
            await self._pause()

    async def keep(self) -> None:
        """Renew until it fails for too long or another replica leads; then raise LeaseLost."""
        while True:
            await self._pause()
            left_s = self._held_at + self._terms.renew_deadline_s - self._clock()
            try:
                # Half of the deadline for each try, so that one that hangs leaves time for another.
                async with asyncio.timeout(min(left_s, self._terms.renew_deadline_s / 2)):
                    if not await self._try():
                        self._held_at = -math.inf
            except (ApiError, TimeoutError) as error:
                logger.warning("cannot renew the Lease", error=str(error) or "timed out")
            self.permit()

    async def release(self) -> None:
        """Let the next one lead at once. Nothing is lost if that fails: the Lease runs out."""
        if not self._tried:
            return
        self._held_at = -math.inf
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._give_back()
        except (ApiError, TimeoutError) as error:
            logger.warning("the Lease is not given back", error=str(error) or "timed out")

    async def _give_back(self) -> None:
        """What was broken off may have been written: the Lease known may be older than ours."""
        for known in (self._lease, None):
            lease = known or await self._cluster.get(LEASE, self._namespace, self._name)
            if lease is None or self._holder(lease) != self._identity:
                return
            spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            try:
                await self._cluster.replace(LEASE, {**lease, "spec": spec})
                return
            except Conflict as error:
                logger.debug("renewed meanwhile", lease=self._name, error=str(error))

    async def _try(self) -> bool:
        """Create, take over or renew; False while another holds it. Conflict means: look again."""
        asked_at = self._clock()
        self._tried = True
        try:
            if self._lease is None:
                self._lease = await self._cluster.get(LEASE, self._namespace, self._name)
            if self._lease is None:
                self._lease = await self._cluster.create(LEASE, self._body({}))
            elif self._may_take(self._lease):
                body = {**self._lease, "spec": self._spec(self._lease.get("spec") or {})}
                self._lease = await self._cluster.replace(LEASE, body)
            else:
                self._lease = None
                return False
        except ApiError as error:
            self._lease = None  # whatever it is now, it is not what we thought
            if isinstance(error, Conflict):
                return await self._still_ours(asked_at)
            raise
        self._held_at = asked_at
        return True

    async def _still_ours(self, asked_at: float) -> bool:
        """After a conflict: an answer may have been lost, and the last writer may be ourselves."""
        self._lease = await self._cluster.get(LEASE, self._namespace, self._name)
        if self._lease is None or self._holder(self._lease) != self._identity:
            return False
        self._lease = await self._cluster.replace(
            LEASE, {**self._lease, "spec": self._spec(self._lease["spec"])}
        )
        self._held_at = asked_at
        return True

    def _may_take(self, lease: Json) -> bool:
        """Ours, nobody's, or not renewed for its duration by our own clock."""
        holder, spec = self._holder(lease), lease.get("spec") or {}
        if holder in (self._identity, ""):
            return True
        record = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._seen:
            self._seen, self._seen_at = record, self._clock()
        lasts_s = max(self._terms.duration_s, float(spec.get("leaseDurationSeconds") or 0))
        return self._clock() - self._seen_at > lasts_s

    def _holder(self, lease: Json) -> str:
        return str((lease.get("spec") or {}).get("holderIdentity") or "")

    def _body(self, spec: Json) -> Json:
        metadata = {"name": self._name, "namespace": self._namespace}
        return {"metadata": metadata, "spec": self._spec(spec)}

    def _spec(self, last: Json) -> Json:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {
            **last,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._terms.duration_s),
            "renewTime": now,
        }
        if last.get("holderIdentity") != self._identity:
            times = last.get("leaseTransitions")
            spec["acquireTime"] = now
            spec["leaseTransitions"] = 0 if times is None else int(times) + 1
        return spec

    async def _pause(self) -> None:
        await asyncio.sleep(self._terms.retry_s * random.uniform(0.9, 1.1))
