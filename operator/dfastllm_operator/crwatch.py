"""kopf's watch of DFastLLMServices: raw events only, in a thread and an event loop of their own.

kopf writes nothing here: no finalizer, no annotation, no Event, and it handles nothing. Each event
is handed to the main loop as it came. What kopf may have missed is `rollcall`'s business.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf
import structlog
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from dfastllm_operator.access import Access
from dfastllm_operator.cluster import PAGE
from dfastllm_operator.core import Json
from dfastllm_operator.faults import GONE
from dfastllm_operator.kinds import SERVICE_RESOURCE

logger = structlog.get_logger("operator")

IDLE_S = 0.2
"""For how long kopf keeps a task and the last event of each service, in case another comes."""

Deliver = Callable[[str, Json], None]
"""Takes an event's type (empty for an object of the first list) and its object; in the main loop.
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. Errors that last longer than `outage_s` end the watch, and so the process.

    `restart_s` is the pause before kopf is started again.
    """

    request_s: float = 10.0
    connect_s: float = 5.0
    stream_s: float = 56.0
    inactivity_s: float = 70.0
    outage_s: float = 300.0
    longest_wait_s: float = 10.0
    restart_s: float = 1.0


class CustomResourceWatch:
    """kopf, embedded. `ended` is done when its thread is, with the error if there was one."""

    def __init__(
        self,
        access: Access,
        namespaces: tuple[str, ...],
        deliver: Deliver,
        patience: Patience | None = None,
    ) -> None:
        self._access = access
        self._namespaces = namespaces
        self._deliver = deliver
        self._patience = patience or Patience()
        self._main = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._leaving = threading.Event()
        self._logins = 0
        self.ended: asyncio.Future[None] = self._main.create_future()

    def start(self) -> None:
        self._thread.start()

    async def close(self, within_s: float) -> None:
        """Ask kopf to leave, and wait until it has; its thread keeps no process from ending."""
        self._leaving.set()
        if self._stop is not None and not self.ended.done():
            loop, event = self._stop
            with contextlib.suppress(RuntimeError):  # that kopf has ended before
                loop.call_soon_threadsafe(event.set)
        if self._thread.is_alive():
            await asyncio.wait([self.ended], timeout=within_s)

    def _run(self) -> None:
        """Kopf, and another one when it ends at an error that a new list gets over."""
        patience = self._patience
        error: BaseException | None = None
        failing_since = time.monotonic()
        while not self._leaving.is_set():
            began = time.monotonic()
            error = self._operate_again()
            now = time.monotonic()
            if now - began > patience.stream_s:  # a stream lived to its end
                failing_since = now
            if not _ended_over_a_stream(error) or now - failing_since > patience.outage_s:
                break
            logger.warning("watch begun anew", error=str(error))
            self._leaving.wait(patience.restart_s)
        with contextlib.suppress(RuntimeError):  # the main loop has ended before
            self._main.call_soon_threadsafe(self._end, None if self._leaving.is_set() else error)

    def _operate_again(self) -> BaseException | None:
        try:
            asyncio.run(self._operate())
        except BaseException as caught:
            return caught
        return None

    def _end(self, error: BaseException | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    async def _operate(self) -> None:
        stop = asyncio.Event()
        self._stop = asyncio.get_running_loop(), stop
        if self._leaving.is_set():
            return
        # Its own name would be the user's, and the user of a container need not have one.
        identity: Any = "dfastllm-operator"
        await kopf.operator(
            registry=self._registry(),
            settings=self._settings(),
            identity=identity,
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
        )

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kind = SERVICE_RESOURCE
        kopf.on.login(registry=registry, id="login")(self._login)
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id="forward")(
            self._forward
        )
        return registry

    def _settings(self) -> kopf.OperatorSettings:
        patience = self._patience
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        # Looking for new CRDs and namespaces wants cluster-wide permissions; ours is there already.
        settings.scanning.disabled = True
        settings.process.ultimate_exiting_timeout = None  # the process has its own last resort
        settings.execution.default_backoff = patience.longest_wait_s
        settings.networking.request_timeout = patience.request_s
        settings.networking.connect_timeout = patience.connect_s
        settings.networking.error_backoffs = tuple(_waits(patience))
        settings.watching.server_timeout = round(patience.stream_s)
        settings.watching.inactivity_timeout = patience.inactivity_s
        settings.watching.chunk_size = PAGE
        settings.queueing.idle_timeout = IDLE_S
        return settings

    async def _forward(self, event: Any, **_: Any) -> None:
        self._main.call_soon_threadsafe(self._deliver, event["type"] or "", event["object"])

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Called at the start and after each 401, so that rotated credentials are picked up."""
        if self._logins:
            # A server that refuses everybody for a while is not to be asked without a pause.
            await asyncio.sleep(min(self._patience.longest_wait_s, 0.1 * 2.0**self._logins))
        self._logins += 1
        # kopf never again takes credentials that were refused once, even by mistake; a priority
        # that differs makes them other ones.
        return _session(await self._access.load(), priority=self._logins)


def _ended_over_a_stream(error: BaseException | None) -> bool:
    """Kopf ends at a watch that is answered 410, and at an ERROR in one that is no 410."""
    return getattr(error, "status", None) == GONE or type(error).__name__ == "WatchingError"


def _session(configuration: Configuration, priority: int) -> kopf.AiohttpSession:
    """A session that kopf closes; it judges certificates as our own client does."""
    header = configuration.api_key.get("BearerToken")
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=RESTClientObject(configuration).ssl_context),
        headers={"Authorization": header} if header else {},
        proxy=configuration.proxy,
    )
    return kopf.AiohttpSession(
        server=configuration.host, aiohttp_session=session, priority=priority
    )


def _waits(patience: Patience) -> Iterator[float]:
    """Waits between the tries of one request: doubling, until together they make an outage."""
    wait_s, total_s = 0.25, 0.0
    while total_s < patience.outage_s:
        yield wait_s
        total_s += wait_s
        wait_s = min(2 * wait_s, patience.longest_wait_s)
