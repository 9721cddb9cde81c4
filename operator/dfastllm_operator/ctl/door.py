"""The API server as this command needs it: one CR, its revisions, one annotation."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from dfastllm_operator.access import Access
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Json, Key
from dfastllm_operator.errors import ApiError, Busy, NotFound
from dfastllm_operator.faults import GONE
from dfastllm_operator.kinds import CONTROLLER_REVISION, SERVICE_RESOURCE, Kind
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.names import SERVICE_LABEL, label_value
from dfastllm_operator.transport import Request, Timeouts, Transport

MANAGER = "dfastllm-ctl"
MERGE = "application/merge-patch+json"
WATCH_S = 300
SILENCE_S = 330.0


class Door:
    """One API server; every method raises `errors.ApiError`."""

    def __init__(self, access: Access, timeouts: Timeouts | None = None) -> None:
        limits, metrics = timeouts or Timeouts(), Metrics()
        self._cluster = Cluster(access, timeouts=limits, metrics=metrics)
        self._transport = Transport(access, limits, metrics)

    async def close(self) -> None:
        await self._cluster.close()
        await self._transport.close()

    async def service(self, key: Key) -> Json:
        """NotFound says whether the CR is missing or the kind itself."""
        found = await self._cluster.get(SERVICE_RESOURCE, key.namespace, key.name)
        if found is not None:
            return found
        if SERVICE_RESOURCE.plural not in await self._cluster.served(SERVICE_RESOURCE.api_version):
            raise NotFound("this cluster has no DFastLLMServices: the operator is not installed")
        raise NotFound(f"there is no DFastLLMService {key.name} in namespace {key.namespace}")

    async def revisions(self, key: Key) -> list[Json]:
        records, _ = await self._cluster.list(
            CONTROLLER_REVISION,
            key.namespace,
            _whole,
            label_selector=f"{SERVICE_LABEL}={label_value(key.name)}",
        )
        return records

    async def annotate(self, cr: Json, annotation: str, value: str) -> None:
        """Conflict when the CR is no longer as it was read."""
        metadata = cr["metadata"]
        body = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {annotation: value},
            }
        }
        path = f"{_path(Key(metadata['namespace'], metadata['name']))}"
        query = (("fieldManager", MANAGER),)
        await self._transport.json(Request("PATCH", path, query, body, content=MERGE))

    async def changes(self, key: Key, *, pause_s: float = 1.0) -> AsyncGenerator[Json, None]:
        """The CR now and after each change; NotFound when it is not there, or no longer.

        An API server that is away for a while is waited for.
        """
        while True:
            try:
                cr = await self.service(key)
                yield cr
                async with aclosing(self._events(key, cr)) as events:
                    async for event, body in events:
                        if event == "DELETED":
                            raise NotFound(f"DFastLLMService {key} has been deleted")
                        if event == "ERROR":
                            break
                        if event != "BOOKMARK":
                            yield body
            except Busy:
                pass
            except ApiError as error:
                if error.status != GONE:
                    raise
            await asyncio.sleep(pause_s)  # whatever ended it may end the next one at once

    async def _events(self, key: Key, cr: Json) -> AsyncGenerator[tuple[str, Json], None]:
        query = (
            ("watch", "true"),
            ("fieldSelector", f"metadata.name={key.name}"),
            ("resourceVersion", str(cr["metadata"]["resourceVersion"])),
            ("timeoutSeconds", str(WATCH_S)),
        )
        path = _path(key).rpartition("/")[0]
        request = Request("GET", path, query, verb="WATCH")
        async with aclosing(self._transport.lines(request, silence_s=SILENCE_S)) as lines:
            async for line in lines:
                event = json.loads(line)
                yield str(event["type"]), event["object"]


def _path(key: Key) -> str:
    kind = SERVICE_RESOURCE
    return f"{kind.base}/namespaces/{key.namespace}/{kind.plural}/{key.name}"


def _whole(_: Kind, body: Json) -> Json:
    return body
