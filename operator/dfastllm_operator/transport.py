"""HTTP to the API server: log in, send, read JSON. Knows paths and verbs, not kinds.

Every request has a time-out, and whatever goes wrong leaves here as one of `errors.*`; but
credentials that cannot be found at the first request are `access.NoAccess`. A login that is refused
is renewed once, so that rotated tokens and certificates need no restart.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient

from dfastllm_operator import __version__
from dfastllm_operator.access import Access, NoAccess
from dfastllm_operator.core import Json
from dfastllm_operator.errors import Busy
from dfastllm_operator.faults import answered, unanswered
from dfastllm_operator.metrics import Metrics

CHUNK = 65_536
"""Bytes of a stream that are handled in one turn."""

USER_AGENT = f"dfastllm-operator/{__version__}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds a request may take as a whole, and to connect."""

    request_s: float = 10.0
    connect_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `verb` is its name in the metrics when that is not the method."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Json | None = None
    content: str = "application/json"
    accept: str = "application/json"
    verb: str = ""


class Transport:
    """One connection pool to one API server."""

    def __init__(self, access: Access, timeouts: Timeouts, metrics: Metrics) -> None:
        self._access = access
        self._timeouts = timeouts
        self._metrics = metrics
        self._client: DynamicClient | None = None
        self._retired: dict[DynamicClient, asyncio.Task[None]] = {}
        self._login = asyncio.Lock()

    async def json(self, request: Request, *, within_s: float | None = None) -> Json:
        """The object in the answer; it is all here after `within_s`, or Busy is raised."""
        whole_s = self._timeouts.request_s
        limit = self._limit(whole_s if within_s is None else min(within_s, whole_s))
        async with self._answer(request, limit) as answer:
            found = json.loads(await answer.read())
        if not isinstance(found, dict):
            raise Busy("no answer from the API server: it sent something that is no object")
        return found

    async def lines(
        self, request: Request, *, silence_s: float | None
    ) -> AsyncGenerator[bytes, None]:
        """The lines of an endless answer, however long; Silent when `silence_s` bring no byte."""
        rest = b""
        async with self._answer(request, self._limit(None, silence_s)) as answer:
            async for chunk in answer.content.iter_chunked(CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
                await asyncio.sleep(0)  # a burst that is here already must not shut out the rest

    async def close(self) -> None:
        retired, self._retired = self._retired, {}
        for task in retired.values():
            task.cancel()
        current, self._client = self._client, None
        for client in [*retired, *([current] if current else [])]:
            await client.client.close()

    @asynccontextmanager
    async def _answer(
        self, request: Request, limit: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        code = 0
        try:
            async with await self._send(request, limit) as answer:
                code = answer.status
                yield answer
        except ApiException as error:
            code = int(error.status or 0)
            raise answered(error) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise unanswered(error) from error
        finally:
            self._metrics.requests.labels(request.verb or request.method, str(code)).inc()

    async def _send(self, request: Request, limit: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        client = await self._connected()
        try:
            return await _ask(client, request, limit)
        except ApiException as error:
            if error.status != 401:
                raise
        except aiohttp.ClientSSLError:
            pass  # the server's certificate authority may have been replaced
        try:
            renewed = await self._connected(instead_of=client)
        except NoAccess as error:  # it worked before: a file is being replaced right now
            raise unanswered(error) from error
        return await _ask(renewed, request, limit)

    async def _connected(self, instead_of: DynamicClient | None = None) -> DynamicClient:
        async with self._login:
            if self._client is None or self._client is instead_of:
                api = ApiClient(await self._access.load())
                api.user_agent = USER_AGENT
                if self._client is not None:
                    self._retired[self._client] = asyncio.create_task(self._retire(self._client))
                self._client = DynamicClient(api)  # type: ignore[no-untyped-call]
            return self._client

    async def _retire(self, client: DynamicClient) -> None:
        """Close a client once nothing that it was asked can still be under way."""
        await asyncio.sleep(self._timeouts.request_s)
        del self._retired[client]
        await client.client.close()

    def _limit(
        self, total_s: float | None, silence_s: float | None = None
    ) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=total_s, sock_connect=self._timeouts.connect_s, sock_read=silence_s
        )


async def _ask(
    client: DynamicClient, request: Request, limit: aiohttp.ClientTimeout
) -> aiohttp.ClientResponse:
    answer: aiohttp.ClientResponse = await client.request(
        request.method.lower(),
        request.path,
        body=request.body,
        query_params=list(request.query),
        content_type=request.content,
        header_params={"Accept": request.accept},
        serialize=False,
        _request_timeout=limit,
    )
    return answer
