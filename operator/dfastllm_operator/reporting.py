"""Says how a service is: its status, bound to what was looked at, Events and the log."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from dfastllm_operator.announce import MoveEvent, events, news_of_rollout
from dfastllm_operator.apply import Applied
from dfastllm_operator.canary.decision import Decision
from dfastllm_operator.census import Census
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Json, Key
from dfastllm_operator.delivery.deciding import moved_status
from dfastllm_operator.delivery.seen import stored_status
from dfastllm_operator.errors import ApiError, Conflict, Invalid, NotFound
from dfastllm_operator.kinds import EVENT, SERVICE_RESOURCE
from dfastllm_operator.observe import Observed
from dfastllm_operator.status import merge_patch
from dfastllm_operator.store import Store

logger = structlog.get_logger("reconcile")


class Reporter:
    """`name` is what Events are told by."""

    def __init__(self, cluster: Cluster, store: Store, census: Census, name: str) -> None:
        self._cluster = cluster
        self._store = store
        self._census = census
        self._name = name
        self._told: dict[Key, set[str]] = {}
        """Of the moves in a status those that need no telling any more, by the Event's name."""

    async def report(
        self, raw: Json, status: Json, now: str, applied: Applied | None = None
    ) -> None:
        """The status if it is another one, the Events of what turned, a log line."""
        key = Key(raw["metadata"]["namespace"], raw["metadata"]["name"])
        self._census.note(key, status)
        changed = status != (raw.get("status") or {})
        if changed:
            for event in events(raw, status, now, self._name):
                await self._announce(event)
            await self._write_status(raw, status)
        if changed or (applied is not None and applied.writes):
            logger.info(
                "reconciled",
                service=str(key),
                generation=raw["metadata"].get("generation"),
                phase=status["phase"],
                revision=status.get("updatedRevision"),
                writes=applied.writes if applied is not None else [],
                trouble=[t.message for t in applied.troubles] if applied is not None else [],
            )

    async def move(self, observed: Observed, decision: Decision, now: datetime) -> bool:
        """Write where the rollout is now, before anything is done about it.

        Whoever saw an old state, or leads no more, is refused here, and is woken by the newer one.
        """
        raw, status = observed.raw, moved_status(observed, decision, now)
        logger.debug(
            "rollout moves",
            service=str(observed.service.key),
            source=stored_status(observed).phase,
            target=decision.status.phase,
            words=decision.words,
        )
        if not await self._write_status(raw, status):
            return False
        before = dict(observed.raw.get("status") or {}).get("rollout")
        self._census.moved(before or {}, status["rollout"])
        logger.info(
            "rollout moved",
            service=str(observed.service.key),
            phase=decision.status.phase,
            step=decision.status.step,
            weight=decision.status.weight,
            why=decision.news.message if decision.news else "",
        )
        return True

    async def tell(self, raw: Json, now: datetime) -> bool:
        """The Events of the rollout's latest moves, oldest first, of whichever operator wrote them.

        Whether nothing is left for which it is worth to come back soon.
        """
        latest = news_of_rollout(raw, self._name)
        if not latest:
            return True
        key = Key(raw["metadata"]["namespace"], raw["metadata"]["name"])
        told = self._still_told(key, latest, now)
        for move in latest:
            if move.name in told:
                continue
            error = await self._announce(move.event)
            if error is None:
                told.add(move.name)
            elif not isinstance(error, Invalid):
                break  # the next one would meet the same
        return all(move.name in told or not move.is_recent(now) for move in latest)

    def _still_told(self, key: Key, latest: Sequence[MoveEvent], now: datetime) -> set[str]:
        """To be added to. What has left the status is forgotten.

        At the first look at a service nobody knows what operators before told: what is so old that
        the API server may have forgotten it is not told again.
        """
        known = self._told.get(key)
        if known is None:
            told = {move.name for move in latest if not move.is_recent(now)}
        else:
            told = known & {move.name for move in latest}
        self._told[key] = told
        return told

    def forget(self, key: Key) -> None:
        self._told.pop(key, None)

    async def _write_status(self, raw: Json, status: Json) -> bool:
        """Whether it was accepted.

        A CR deleted meanwhile needs no status; one changed meanwhile wakes its key anyway.
        """
        try:
            written = await self._cluster.patch_status(SERVICE_RESOURCE, _status_body(raw, status))
        except NotFound:
            return False
        except Conflict as error:
            logger.debug("changed meanwhile", service=raw["metadata"]["name"], error=str(error))
            return False
        self._store.put(SERVICE_RESOURCE, written)
        return True

    async def _announce(self, event: Json) -> ApiError | None:
        """Why it could not be told; None: it is told now."""
        try:
            await self._cluster.create(EVENT, event)
        except Conflict:
            logger.debug("told already", name=event["metadata"]["name"])
        except ApiError as error:  # it would be a pity about the status
            logger.warning("event not written", reason=event["reason"], error=str(error))
            return error
        return None


def _status_body(raw: Json, status: Json) -> Json:
    """Bound to the object that was looked at: a CR of the same name made meanwhile is another."""
    metadata = raw["metadata"]
    return {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "status": merge_patch(raw.get("status") or {}, status),
    }
