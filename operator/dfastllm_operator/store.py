"""What the API server holds of ours, as last heard: every DFastLLMService and its children.

Fed by the watches, read by `observe`. It belongs to one event loop and forgets nothing by itself;
an older version of an object never replaces a newer one.
"""

import sys
from collections.abc import Iterable
from typing import NamedTuple

from dfastllm_operator.claims import Claims
from dfastllm_operator.core import Json, Key, Seen
from dfastllm_operator.kinds import HTTP_ROUTE, SERVICE_RESOURCE, Kind
from dfastllm_operator.names import SERVICE_LABEL, dns_label, label_value
from dfastllm_operator.packing import Packing

MOST_REMOVALS = 10_000
"""Remembered removals; answers are late by seconds, not by thousands of objects."""


class _Id(NamedTuple):
    kind: Kind
    namespace: str
    name: str


class _Entry(NamedTuple):
    version: int | None
    owner: str
    body: bytes


class Held(NamedTuple):
    """An object as a store keeps it."""

    id: _Id
    entry: _Entry


class Store:
    """Objects by kind, namespace and name, and children by the service they are labelled with.

    Bodies are kept packed, so that thousands take little memory and a reader cannot change what
    others read.
    """

    def __init__(self, domain: str = "example.com", gateway: str = "") -> None:
        self._objects: dict[_Id, _Entry] = {}
        self._children: dict[tuple[str, str], set[_Id]] = {}
        self._removed: dict[_Id, int] = {}
        """Versions at which objects went, so that an answer that is late brings none back."""
        self._claims = Claims(domain, gateway)
        self._packing = Packing()
        self._labels: dict[tuple[str, str], str] = {}
        """Names of services by namespace and label, for names too long to be a label."""

    def put(self, kind: Kind, obj: Json) -> Key | None:
        """Remember the object; the service to reconcile, None when there is nothing new."""
        news = self._is_news(_id(kind, obj), _version(obj))
        return self._take(self.hold(kind, obj)) if news else None

    def hold(self, kind: Kind, obj: Json) -> Held:
        """What this store would keep of the object, for `replace`; nothing is remembered yet."""
        body = self._packing.pack(kind, obj)
        return Held(_id(kind, obj), _Entry(_version(obj), _owner(kind, obj), body))

    def _is_news(self, id_: _Id, version: int | None) -> bool:
        known = self._objects.get(id_)
        if known is None:
            return version is None or version > self._removed.get(id_, -1)
        return version is None or version > (known.version or -1)

    def _take(self, held: Held) -> Key | None:
        id_, entry = held
        known = self._objects.get(id_)
        loser = known.owner if known is not None and known.owner != entry.owner else ""
        if loser:
            self._forget(id_)
        self._remember(id_, entry)
        if id_.kind in (SERVICE_RESOURCE, HTTP_ROUTE):
            self._hear_claim(id_, self._packing.unpack(id_.kind, entry.body))
        # Who lost an object has something to repair; who was given one has not.
        return self._key(id_.namespace, loser or entry.owner)

    def _hear_claim(self, id_: _Id, obj: Json) -> None:
        if id_.kind is SERVICE_RESOURCE:
            self._claims.put(Key(id_.namespace, id_.name), obj)
        elif (owner := _has_route(obj)) is not None:
            self._claims.routed(owner, obj)

    def remove(self, kind: Kind, obj: Json) -> Key | None:
        """Forget the object; the service to reconcile, None when it was not known (so) long ago."""
        id_ = _id(kind, obj)
        known = self._objects.get(id_)
        version = _version(obj)
        self._note_removal(id_, version)
        if known is None:
            return None
        if version is not None and version < (known.version or -1):
            return None  # an object of that name was made again since
        key = self._key(id_.namespace, known.owner)
        self._forget(id_)
        return key

    def _note_removal(self, id_: _Id, version: int | None) -> None:
        if version is None:
            return
        self._removed[id_] = max(version, self._removed.pop(id_, -1))
        if len(self._removed) > MOST_REMOVALS:
            del self._removed[next(iter(self._removed))]

    def replace(
        self, kind: Kind, namespace: str | None, objs: Iterable[Held], version: str = ""
    ) -> set[Key]:
        """Take over a whole list; the services for which it says something new.

        What the list lacks is forgotten, unless it is newer than the list's `version`.
        """
        keys: set[Key | None] = set()
        listed: set[_Id] = set()
        for held in objs:
            listed.add(held.id)
            if self._is_news(held.id, held.entry.version):
                keys.add(self._take(held))
        as_of = int(version) if version.isdigit() else None
        for id_ in [i for i in self._objects if i.kind is kind and i not in listed]:
            known = self._objects[id_]
            newer = as_of is not None and known.version is not None and known.version > as_of
            if (namespace is None or id_.namespace == namespace) and not newer:
                keys.add(self._key(id_.namespace, known.owner))
                self._forget(id_)
        return {key for key in keys if key is not None}

    def forget_kind(self, kind: Kind) -> set[Key]:
        """The API server no longer serves the kind, so none of its objects exist."""
        return self.replace(kind, None, ())

    def version(self, kind: Kind, namespace: str, name: str) -> int:
        """The resourceVersion of an object as last heard; 0 for one that is not known."""
        entry = self._objects.get(_Id(kind, namespace, name))
        return (entry.version or 0) if entry is not None else 0

    def service(self, key: Key) -> Json | None:
        entry = self._objects.get(_Id(SERVICE_RESOURCE, key.namespace, key.name))
        return None if entry is None else self._packing.unpack(SERVICE_RESOURCE, entry.body)

    def rival(self, key: Key) -> Key | None:
        """Another service that has the hostname, or has a better claim to it."""
        return self._claims.rival(key)

    def keys(self) -> list[Key]:
        """Every service."""
        return [Key(i.namespace, i.name) for i in self._objects if i.kind is SERVICE_RESOURCE]

    def children(self, key: Key) -> list[Seen]:
        """Everything labelled as the service's, whoever owns it."""
        ids = self._children.get((key.namespace, label_value(key.name)), ())
        unpack = self._packing.unpack
        return [
            Seen(i.kind, unpack(i.kind, self._objects[i].body)) for i in sorted(ids, key=_order)
        ]

    def _remember(self, id_: _Id, entry: _Entry) -> None:
        self._objects[id_] = entry
        if id_.kind is SERVICE_RESOURCE:
            self._labels[id_.namespace, label_value(id_.name)] = id_.name
        else:
            self._children.setdefault((id_.namespace, entry.owner), set()).add(id_)

    def _forget(self, id_: _Id) -> None:
        entry = self._objects.pop(id_)
        if id_.kind is SERVICE_RESOURCE:
            self._labels.pop((id_.namespace, label_value(id_.name)), None)
            self._claims.remove(Key(id_.namespace, id_.name))
            return
        if id_.kind is HTTP_ROUTE:
            self._claims.unrouted(id_.namespace, id_.name)
        siblings = self._children[id_.namespace, entry.owner]
        siblings.discard(id_)
        if not siblings:
            del self._children[id_.namespace, entry.owner]

    def _key(self, namespace: str, owner: str) -> Key | None:
        """The service behind a label; the label itself where no such service is known (yet)."""
        return Key(namespace, self._labels.get((namespace, owner), owner)) if owner else None


def _id(kind: Kind, obj: Json) -> _Id:
    meta = obj["metadata"]
    return _Id(kind, sys.intern(meta["namespace"]), meta["name"])


def _order(id_: _Id) -> tuple[str, str]:
    return id_.kind.kind, id_.name


def _has_route(route: Json) -> Key | None:
    """Whose route this is: anybody can write labels, but only we make a service its controller."""
    meta = route["metadata"]
    owner = _controller(meta)
    return Key(meta["namespace"], owner) if owner and dns_label(owner) == meta["name"] else None


def _controller(meta: Json) -> str:
    """Name of the service that controls the object; empty for none."""
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == SERVICE_RESOURCE.kind:
            return str(owner["name"])
    return ""


def _owner(kind: Kind, obj: Json) -> str:
    """The label value of the service that an object belongs to; empty for none.

    The owner reference goes before the label, which anybody may edit; what KServe makes of our
    objects has the label only.
    """
    meta = obj["metadata"]
    if kind is SERVICE_RESOURCE:
        return label_value(meta["name"])
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == SERVICE_RESOURCE.kind:
            return sys.intern(label_value(owner["name"]))
    return sys.intern(str((meta.get("labels") or {}).get(SERVICE_LABEL, "")))


def _version(obj: Json) -> int | None:
    """Versions of one kind compare as numbers: always so with etcd, promised since 1.35."""
    version = str(obj["metadata"].get("resourceVersion", ""))
    return int(version) if version.isdigit() else None
