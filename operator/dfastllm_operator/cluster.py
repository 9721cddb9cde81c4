"""The only door to the API server: get, list, watch, apply, scale, create, replace, delete.

It knows kinds and JSON, not what they mean. Each error is one of `errors.*`, and each write needs
the permit of whoever holds the Lease.
"""

import json
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from dfastllm_operator import names
from dfastllm_operator.access import Access
from dfastllm_operator.core import Json
from dfastllm_operator.errors import ApiError, NotFound
from dfastllm_operator.faults import GONE, of_status, unanswered
from dfastllm_operator.kinds import LEASE, Kind
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.ratelimit import RateLimit
from dfastllm_operator.transport import Request, Timeouts, Transport

PAGE = 100
"""Objects in each answer to a list. Parsed they take some ten times their JSON, and what a thousand
take at once is memory that the process never gives back.
"""
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
ACCESS_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

T = TypeVar("T")
Listed = tuple[list[T], str]
Query = tuple[tuple[str, str], ...]
Permit = Callable[[], float]
"""Seconds for which this process may still write; raises LeaseLost when there are none."""


def _always() -> float:
    return math.inf


class Cluster:
    """The API server as the operator sees it.

    `permit` is asked before each write and bounds its time; whoever holds the Lease sets it.
    """

    def __init__(
        self,
        access: Access,
        *,
        timeouts: Timeouts | None = None,
        metrics: Metrics | None = None,
        writes: RateLimit | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._transport = Transport(access, timeouts or Timeouts(), self._metrics)
        self._writes = writes
        self.permit: Permit = _always

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        try:
            return await self._transport.json(Request("GET", _path(kind, namespace, name)))
        except NotFound:
            return None

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Whether there is such an object; its content does not come along."""
        request = Request("GET", _path(kind, namespace, name), accept=METADATA)
        try:
            await self._transport.json(request)
        except NotFound:
            return False
        return True

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        keep: Callable[[Kind, Json], T],
        *,
        label_selector: str = "",
        metadata_only: bool = False,
    ) -> Listed[T]:
        """What `keep` makes of each object, and the resourceVersion to watch from.

        Fetched page by page, and never more than a page is there as parsed objects.
        """
        for size in (PAGE, PAGE, 0):  # a page too old to go on from: once more, then all at once
            try:
                return await self._pages(kind, namespace, keep, label_selector, size, metadata_only)
            except ApiError as error:
                if error.status != GONE or not size:
                    raise
        raise AssertionError("the last size returns or raises")

    async def watch(
        self,
        kind: Kind,
        namespace: str | None,
        resource_version: str,
        *,
        label_selector: str = "",
        timeout_s: float,
        silence_s: float | None = None,
    ) -> AsyncGenerator[tuple[str, Json], None]:
        """Changes since `resource_version`, bookmarks included.

        Ends when the server closes the stream, which it is asked to do after `timeout_s`. An error
        in the stream is raised, 410 as an ApiError; when nothing came for `silence_s`, Silent.
        """
        query: Query = (
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", str(max(1, round(timeout_s)))),
            *_selected(label_selector),
        )
        request = Request("GET", _path(kind, namespace), query, verb="WATCH")
        async with aclosing(self._transport.lines(request, silence_s=silence_s)) as lines:
            async for line in lines:
                yield _event(line)

    async def served(self, group_version: str) -> frozenset[str]:
        """Plurals of `group/version` (or `v1`); empty when the API server has no such thing."""
        base = "apis" if "/" in group_version else "api"
        try:
            found = await self._transport.json(Request("GET", f"/{base}/{group_version}"))
        except NotFound:
            return frozenset()
        return frozenset(r["name"] for r in found.get("resources") or () if "/" not in r["name"])

    async def groups(self) -> frozenset[str]:
        """Every API group that is registered, whether its server is well or not."""
        found = await self._transport.json(Request("GET", "/apis"))
        return frozenset(group["name"] for group in found.get("groups") or ())

    async def may(
        self,
        verb: str,
        kind: Kind,
        namespace: str | None,
        subresource: str = "",
        name: str = "",
    ) -> bool:
        """Whether this account may `verb` the kind; in all namespaces when `namespace` is None.

        With `name`, only the object of that name is asked about.
        """
        wanted = {
            "verb": verb,
            "group": kind.group,
            "resource": kind.plural,
            "subresource": subresource,
            "namespace": namespace or "",
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {k: v for k, v in wanted.items() if v}},
        }
        answer = await self._transport.json(Request("POST", ACCESS_REVIEW, body=review))
        return bool((answer.get("status") or {}).get("allowed"))

    async def apply(self, kind: Kind, body: Json, *, force: bool) -> Json:
        """Server-side apply; the object as it is now. Without `force` it may be a Conflict."""
        meta = body["metadata"]
        path = _path(kind, meta["namespace"], meta["name"])
        query = (("fieldManager", names.FIELD_MANAGER), ("force", str(force).lower()))
        request = Request("PATCH", path, query, _typed(kind, body), content=APPLY)
        return await self._write(kind, request)

    async def patch_status(self, kind: Kind, body: Json) -> Json:
        """Merge-patch of the status; `metadata` may bind it to a uid and a resourceVersion."""
        meta = body["metadata"]
        path = _path(kind, meta["namespace"], meta["name"], "status")
        query = (("fieldManager", names.STATUS_MANAGER),)
        return await self._write(kind, Request("PATCH", path, query, body, content=MERGE))

    async def scale(self, kind: Kind, seen: Json, replicas: int) -> None:
        """Set the replicas of that very object, as long as it is as it was seen; else Conflict."""
        meta = seen["metadata"]
        bound = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        path = _path(kind, meta["namespace"], meta["name"], "scale")
        query = (("fieldManager", names.FIELD_MANAGER),)
        body = {"metadata": bound, "spec": {"replicas": replicas}}
        await self._write(kind, Request("PATCH", path, query, body, content=MERGE))

    async def create(self, kind: Kind, body: Json) -> Json:
        """Conflict when an object of that name exists."""
        return await self._put(kind, body, "POST", "")

    async def replace(self, kind: Kind, body: Json) -> Json:
        """Conflict when the object is no longer at the resourceVersion in `body`."""
        return await self._put(kind, body, "PUT", body["metadata"]["name"])

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> bool:
        """Delete that very object, its children in the background; False when it was not there."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        try:
            await self._write(kind, Request("DELETE", _path(kind, namespace, name), body=options))
        except NotFound:
            return False
        return True

    async def close(self) -> None:
        await self._transport.close()

    async def _pages(
        self,
        kind: Kind,
        namespace: str | None,
        keep: Callable[[Kind, Json], T],
        selector: str,
        size: int,
        metadata_only: bool,
    ) -> Listed[T]:
        items: list[T] = []
        accept = METADATA_ONLY if metadata_only else "application/json"
        query = (*_selected(selector), *((("limit", str(size)),) if size else ()))
        after: Query = ()
        while True:
            path = _path(kind, namespace)
            request = Request("GET", path, query + after, accept=accept, verb="LIST")
            page = await self._transport.json(request)
            # The items of a list do not say what they are.
            items += [keep(kind, _typed(kind, item)) for item in page.get("items") or ()]
            if not page["metadata"].get("continue"):
                return items, str(page["metadata"]["resourceVersion"])
            after = (("continue", page["metadata"]["continue"]),)

    async def _put(self, kind: Kind, body: Json, method: str, name: str) -> Json:
        path = _path(kind, body["metadata"]["namespace"], name)
        query = (("fieldManager", names.FIELD_MANAGER),)
        return await self._write(kind, Request(method, path, query, _typed(kind, body)))

    async def _write(self, kind: Kind, request: Request) -> Json:
        if kind is LEASE:
            return await self._transport.json(request)
        if self._writes is not None:
            await self._writes.turn()
        # Bounded by the Lease: a write that hangs must not land under the next leader.
        written = await self._transport.json(request, within_s=self.permit())
        self._metrics.writes.labels(kind.kind, request.method).inc()
        return written


def _path(kind: Kind, namespace: str | None, name: str = "", subresource: str = "") -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(filter(None, (f"{kind.base}{scope}/{kind.plural}", name, subresource)))


def _selected(label_selector: str) -> Query:
    return (("labelSelector", label_selector),) if label_selector else ()


def _typed(kind: Kind, body: Json) -> Json:
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind}


def _event(line: bytes) -> tuple[str, Json]:
    try:
        event = json.loads(line)
        body: Json = event["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise unanswered(error) from error
    if event["type"] == "ERROR":
        raise of_status(int(body.get("code") or 500), str(body.get("message") or body), body)
    return str(event["type"]), body
