"""The services of one namespace: made, edited, waited for and counted as an administrator would.

Its methods return when all is done; inside, several requests are under way at a time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from benchmarks.plain_client import Json, PlainClient
from cluster.rig import Rig
from dfastllm_operator.kinds import EVENT, OWNED, SERVICE_RESOURCE, Kind
from dfastllm_operator.names import SERVICE_LABEL

TINY = {"uri": "builtin://tiny"}
WORKERS = 4  # as many as the operator has
READY_WITHIN_S = 600.0

T = TypeVar("T")


class Crowd:
    """Services named by number, each the smallest there is."""

    def __init__(self, rig: Rig, namespace: str) -> None:
        self._rig = rig
        self._namespace = namespace

    def create(self, count: int) -> None:
        async def create(client: PlainClient, number: int) -> None:
            body = {"metadata": {"name": _name(number)}, "spec": {"model": TINY}}
            await client.create(SERVICE_RESOURCE, self._namespace, body)

        self._run(lambda client: _at_once(client, list(range(count)), create))

    def edit(self, spec: Json, count: int) -> None:
        """The first `count` of them."""

        async def edit(client: PlainClient, number: int) -> None:
            await client.merge(SERVICE_RESOURCE, self._namespace, _name(number), {"spec": spec})

        self._run(lambda client: _at_once(client, list(range(count)), edit))

    def wait_ready(self) -> None:
        async def wait(client: PlainClient) -> None:
            async with asyncio.timeout(READY_WITHIN_S):
                while True:
                    services, _ = await client.list(SERVICE_RESOURCE, self._namespace)
                    phases = Counter((s.get("status") or {}).get("phase") for s in services)
                    if set(phases) == {"Ready"}:
                        return
                    await asyncio.sleep(0.5)

        self._run(wait)

    def present(self) -> int:
        """Writes it takes to get what is there: children, Events, and a status for each service."""

        async def count(client: PlainClient) -> int:
            services, _ = await client.list(SERVICE_RESOURCE, self._namespace)
            events, _ = await client.list(EVENT, self._namespace)
            found = sum("status" in service for service in services)
            found += sum(_is_about_service(event) for event in events)
            for kind in OWNED:
                found += len(await self._children(client, kind))
            return found

        return self._run(count)

    def versions(self) -> dict[str, str]:
        """The resourceVersion of each service and child, by uid."""

        async def read(client: PlainClient) -> dict[str, str]:
            objs, _ = await client.list(SERVICE_RESOURCE, self._namespace)
            for kind in OWNED:
                objs += await self._children(client, kind)
            return {o["metadata"]["uid"]: o["metadata"]["resourceVersion"] for o in objs}

        return self._run(read)

    def now(self) -> dict[Kind, str]:
        """From where `writes_since` counts."""

        async def read(client: PlainClient) -> dict[Kind, str]:
            kinds = (*OWNED, SERVICE_RESOURCE, EVENT)
            return {kind: (await client.list(kind, self._namespace))[1] for kind in kinds}

        return self._run(read)

    def writes_since(self, then: dict[Kind, str]) -> int:
        """Whoever made them, and only those that changed something."""

        async def count(client: PlainClient) -> int:
            counts = [client.count_writes(k, self._namespace, v) for k, v in then.items()]
            return sum(await asyncio.gather(*counts))

        return self._run(count)

    def apply_bare(self, services: int) -> tuple[int, float]:
        """The children of so many once more, under other names and nobody's: applies, seconds."""

        async def apply(client: PlainClient, wanted: tuple[Kind, Json]) -> None:
            await client.apply(wanted[0], self._namespace, wanted[1])

        async def run(client: PlainClient) -> tuple[int, float]:
            wanted = []
            for kind in OWNED:
                for obj in (await self._children(client, kind))[:services]:
                    wanted.append((kind, _bare(obj)))
            began = time.perf_counter()
            await _at_once(client, wanted, apply)
            return len(wanted), time.perf_counter() - began

        return self._run(run)

    async def _children(self, client: PlainClient, kind: Kind) -> list[Json]:
        objs, _ = await client.list(kind, self._namespace)
        return [o for o in objs if SERVICE_LABEL in (o["metadata"].get("labels") or {})]

    def _run(self, do: Callable[[PlainClient], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            async with PlainClient(self._rig) as client:
                return await do(client)

        return asyncio.run(run())


async def _at_once(
    client: PlainClient, work: list[T], do: Callable[[PlainClient, T], Awaitable[None]]
) -> None:
    pieces = iter(work)

    async def worker() -> None:
        for piece in pieces:
            await do(client, piece)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))


def _is_about_service(event: Json) -> bool:
    return bool(event["involvedObject"].get("kind") == SERVICE_RESOURCE.kind)


def _bare(obj: Json) -> Json:
    """What the operator applied, but for the metadata and what is another's."""
    spec = {k: v for k, v in (obj.get("spec") or {}).items() if not k.startswith("clusterIP")}
    rest = {k: v for k, v in obj.items() if k not in ("metadata", "status", "spec")}
    metadata = {"name": f"bare-{obj['metadata']['name']}"}
    return {**rest, "metadata": metadata, **({"spec": spec} if spec else {})}


def _name(number: int) -> str:
    return f"service-{number:04}"
