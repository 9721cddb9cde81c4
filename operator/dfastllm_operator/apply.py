"""Makes the cluster's objects what was decided: the least number of writes, in a safe order.

Server-side apply, forced only on objects that are ours already, or were and have no owner now. An
object of a wanted name that belongs to somebody else is never touched. A refusal of one object does
not keep the others back; an API server that does not answer does, and the whole is tried again.
"""

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dfastllm_operator.compare import difference, own_fields, stamped
from dfastllm_operator.conditions import Reason
from dfastllm_operator.contest import Contest, Identity
from dfastllm_operator.core import Child, Json, Key, Seen
from dfastllm_operator.errors import Busy, Conflict, Departed, Forbidden, Invalid, NotFound
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    HPA,
    INFERENCE_SERVICE,
    OWNED,
    SCALED_OBJECT,
    SERVICE_ACCOUNT,
    SERVICE_RESOURCE,
    Kind,
)
from dfastllm_operator.revision import digest

IMMUTABLE = frozenset({CONFIG_MAP, CONTROLLER_REVISION})
PREREQUISITES = frozenset({CONFIG_MAP, CONTROLLER_REVISION, SERVICE_ACCOUNT})
"""What an InferenceService refers to."""
SCALERS = frozenset({HPA, SCALED_OBJECT})
CHANGED = "is changed by somebody else as soon as it is written"


class Writer(Protocol):
    """The part of `cluster.Cluster` that applying uses."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None: ...

    async def apply(self, kind: Kind, body: Json, *, force: bool) -> Json: ...

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> bool: ...


class Cache(Protocol):
    """The part of `store.Store` that applying uses: what was written is known at once."""

    def put(self, kind: Kind, obj: Json) -> Key | None: ...

    def remove(self, kind: Kind, obj: Json) -> Key | None: ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """An object that is not as wanted, and why. `terminal`: the same again would fail again."""

    kind: Kind
    name: str
    reason: Reason
    message: str
    terminal: bool = False


@dataclass(slots=True)
class Applied:
    """What happened: objects written and deleted, as `apply ConfigMap/x`, and what failed.

    `busy` is the first refusal that another try may overcome. `service_checked`: the service
    was asked for and is there to stay.
    """

    writes: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    busy: Busy | None = None
    service_checked: bool = False

    def lacks(self, kinds: Collection[Kind]) -> bool:
        """Whether an object of one of these kinds could not be made what it should be."""
        return any(trouble.kind in kinds for trouble in self.troubles)


class Applier:
    """Writes the objects of one service after the other."""

    def __init__(self, writer: Writer, cache: Cache, contest: Contest) -> None:
        self._writer = writer
        self._cache = cache
        self._contest = contest

    async def apply(
        self,
        key: Key,
        uid: str,
        wanted: Sequence[Child],
        seen: Sequence[Seen],
        *,
        spared: Collection[Kind] = (),
    ) -> Applied:
        """Bring the children of `key` to `wanted`; owned objects not wanted are deleted.

        What there is of the kinds in `spared` is left as it is.

        Raises `errors.Busy` when the API server does not answer, Departed when the service turns
        out to be gone, and LeaseLost.
        """
        done = Applied()
        owned = {(s.kind, s.name): s for s in seen if s.kind in OWNED and s.kind not in spared}
        leftovers = [s for at, s in owned.items() if at not in {(c.kind, c.name) for c in wanted}]
        for left in leftovers:  # two scalers on one Deployment would fight: the old one goes first
            if left.kind in SCALERS:
                await self._guarded(done, left.kind, left.name, self._delete(key, left, done))
        for child in map(stamped, wanted):
            if child.kind == INFERENCE_SERVICE and done.lacks(PREREQUISITES):
                continue  # its pods would start with what somebody else put in the place
            present = owned.get((child.kind, child.name))
            step = self._one(key, uid, child, present, done)
            await self._guarded(done, child.kind, child.name, step)
        for left in leftovers:
            if left.kind not in SCALERS:
                await self._guarded(done, left.kind, left.name, self._delete(key, left, done))
        return done

    def forget(self, key: Key) -> None:
        """The service is gone."""
        self._contest.forget_service(key)

    async def _guarded(self, done: Applied, kind: Kind, name: str, step: Awaitable[None]) -> None:
        try:
            await step
        except Busy as error:
            if error.status == 0:  # there is no API server now: nothing else will work either
                raise
            done.busy = done.busy or error
            done.troubles.append(
                Trouble(kind, name, Reason.APPLY_FAILED, f"{kind} {name}: {error}")
            )
        except (Invalid, Forbidden, Conflict, NotFound) as error:
            done.troubles.append(
                Trouble(
                    kind,
                    name,
                    Reason.APPLY_FAILED,
                    f"{kind} {name}: {error}",
                    terminal=isinstance(error, Invalid),
                )
            )

    async def _one(
        self, key: Key, uid: str, child: Child, present: Seen | None, done: Applied
    ) -> None:
        seen = present.body if present is not None else None
        if seen is None:
            seen = await self._writer.get(child.kind, key.namespace, child.name)
            if seen is not None and not _owned_by(seen, uid) and not _orphaned(seen):
                leaving = seen["metadata"].get("deletionTimestamp")
                done.troubles.append(_leaving(child) if leaving else _taken(child, seen))
                return
        if present is None:
            await self._check_service(key, uid, done)
        if seen is None:
            await self._create(key, child, done)
        elif not difference(child.body, seen):
            if present is None:  # found by asking; what the cache gave may be gone from it by now
                self._cache.put(child.kind, seen)
        elif child.kind in IMMUTABLE and not _same_content(child.body, seen):
            await self._delete(key, Seen(child.kind, seen), done)
            await self._create(key, child, done)
        else:
            await self._repair(key, child, seen, done)

    async def _check_service(self, key: Key, uid: str, done: Applied) -> None:
        """Raise Departed unless the service is there to stay; asked once, before anything is made.

        A child made for one whose end is not heard of yet would be collected, and made again, and
        so on. A deletion that orphans takes the owner off the children first: given back, they
        would be collected with it.
        """
        if done.service_checked:
            return
        service = await self._writer.get(SERVICE_RESOURCE, key.namespace, key.name)
        metadata = service["metadata"] if service is not None else {}
        if metadata.get("uid") != uid or metadata.get("deletionTimestamp"):
            raise Departed(f"{key} is deleted, or another one by now", service)
        done.service_checked = True

    async def _create(self, key: Key, child: Child, done: Applied) -> None:
        """Without force: an object that appeared meanwhile in this name is not ours to change."""
        identity, applied = _identity(key, child.kind, child.name), digest(child.body)
        if not self._contest.calm(identity, applied):
            done.troubles.append(
                _contested(child, "it is deleted by somebody else again and again")
            )
            return
        try:
            made = await self._writer.apply(child.kind, child.body, force=False)
        except Conflict as error:
            done.troubles.append(
                Trouble(
                    child.kind,
                    child.name,
                    Reason.NAME_TAKEN,
                    f"{child.kind} {child.name} appeared meanwhile and has another owner: {error}",
                )
            )
            return
        self._contest.written(identity, applied)
        self._cache.put(child.kind, made)
        done.writes.append(f"create {child.kind}/{child.name}")

    async def _repair(self, key: Key, child: Child, seen: Json, done: Applied) -> None:
        identity, applied = _identity(key, child.kind, child.name), digest(child.body)
        where = difference(child.body, seen)
        futile = self._contest.futile(identity, applied, _version(seen))
        if futile or not self._contest.calm(identity, applied):
            done.troubles.append(_contested(child, f"{where} {CHANGED}"))
            return
        made = await self._writer.apply(child.kind, child.body, force=True)
        self._contest.written(identity, applied)
        self._cache.put(child.kind, made)
        done.writes.append(f"apply {child.kind}/{child.name} ({where})")
        if left := difference(child.body, made):
            self._contest.unmoved(identity, applied, _version(made))
            done.troubles.append(_contested(child, f"{left} {CHANGED}"))

    async def _delete(self, key: Key, seen: Seen, done: Applied) -> None:
        metadata = seen.body["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        uid = str(metadata.get("uid"))
        if await self._writer.delete(seen.kind, key.namespace, seen.name, uid=uid):
            done.writes.append(f"delete {seen.kind}/{seen.name}")
        self._cache.remove(seen.kind, seen.body)


def _owned_by(seen: Json, uid: str) -> bool:
    return any(o.get("uid") == uid for o in seen["metadata"].get("ownerReferences") or [])


def _orphaned(seen: Json) -> bool:
    """Once applied by us and owned by nobody now: its CR was deleted without its children."""
    owners = seen["metadata"].get("ownerReferences") or []
    return own_fields(seen) is not None and not any(owner.get("controller") for owner in owners)


def _same_content(wanted: Json, seen: Json) -> bool:
    return all(wanted.get(field) == seen.get(field) for field in ("data", "revision", "immutable"))


def _version(seen: Json) -> str:
    return str(seen["metadata"].get("resourceVersion"))


def _taken(child: Child, seen: Json) -> Trouble:
    owners = seen["metadata"].get("ownerReferences") or []
    whose = f"{owners[0].get('kind')} {owners[0].get('name')}" if owners else "nobody"
    return Trouble(
        child.kind,
        child.name,
        Reason.NAME_TAKEN,
        f"{child.kind} {child.name} exists and is owned by {whose}; it is left as it is. "
        "Delete it or rename the service.",
    )


def _leaving(child: Child) -> Trouble:
    return Trouble(
        child.kind,
        child.name,
        Reason.APPLY_FAILED,
        f"{child.kind} {child.name} of a former owner is being deleted; it is made anew then.",
    )


def _identity(key: Key, kind: Kind, name: str) -> Identity:
    return key, f"{kind}/{name}"


def _contested(child: Child, what: str) -> Trouble:
    return Trouble(child.kind, child.name, Reason.CONTESTED, f"{child.kind} {child.name}: {what}")
