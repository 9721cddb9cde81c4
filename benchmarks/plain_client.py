"""A client of the API server with nothing in it: what the operator is measured with, and against.

async with PlainClient(rig) as client:
    await client.send("GET", CONFIG_MAP, "default", "name")
"""

import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import aiohttp

import benchmarks.testbed  # noqa: F401
from cluster.rig import Rig
from dfastllm_operator.kinds import Kind

Json = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
ONE_S = {"watch": "true", "timeoutSeconds": "1"}
WATCH = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "1800"}


class PlainClient:
    """As the administrator; one connection pool."""

    def __init__(self, rig: Rig) -> None:
        self._url = rig.url
        self._tls = rig.plane.context

    async def __aenter__(self) -> "PlainClient":
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        limit = aiohttp.ClientTimeout(total=None, sock_read=60)
        self._session = aiohttp.ClientSession(connector=connector, timeout=limit)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def send(
        self,
        method: str,
        kind: Kind,
        namespace: str,
        name: str = "",
        body: Json | None = None,
        content: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Json:
        async with self._session.request(
            method,
            f"{self._url}{_path(kind, namespace, name)}",
            params=query,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": content},
        ) as answer:
            text = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {kind} {namespace}/{name}: {text.decode()}")
            return dict(json.loads(text))

    async def list(self, kind: Kind, namespace: str) -> tuple[list[Json], str]:
        """The objects, which say what they are, and the version of the list."""
        found = await self.send("GET", kind, namespace)
        named = {"apiVersion": kind.api_version, "kind": kind.kind}
        return [{**named, **item} for item in found["items"]], found["metadata"]["resourceVersion"]

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        return await self.send("POST", kind, namespace, body=_typed(kind, body))

    async def apply(self, kind: Kind, namespace: str, body: Json) -> Json:
        name = body["metadata"]["name"]
        query = {"fieldManager": "plain", "force": "true"}
        return await self.send("PATCH", kind, namespace, name, _typed(kind, body), APPLY, query)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        return await self.send("PATCH", kind, namespace, name, patch, MERGE)

    async def watch(
        self, kind: Kind, namespace: str, version: str, query: dict[str, str]
    ) -> AsyncIterator[tuple[str, Json]]:
        """Events until the server closes the stream; `query` says how long that is."""
        url = f"{self._url}{_path(kind, namespace)}"
        rest = b""
        async with self._session.get(url, params={**query, "resourceVersion": version}) as answer:
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]

    async def count_writes(self, kind: Kind, namespace: str, since: str) -> int:
        """Writes that changed an object of the kind: each is an event of a watch."""
        count = 0
        async for event, obj in self.watch(kind, namespace, since, ONE_S):
            if event == "ERROR":
                raise RuntimeError(f"{kind}: {obj}")
            count += 1
        return count


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    return "/".join(filter(None, (f"{kind.base}/namespaces/{namespace}/{kind.plural}", name)))


def _typed(kind: Kind, body: Json) -> Json:
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind}
