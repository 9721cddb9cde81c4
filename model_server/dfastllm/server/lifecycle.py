"""From an open port to exit 0, the same in the plain and the KServe form.

    loading ──────▶ ready ──────▶ draining ──▶ stopped
       │                             ▲
       └── failed (exit status 1)    └── SIGTERM or SIGINT, also while loading

The port opens at once and the model loads in a thread beside it; until then readiness is 503. At
the first signal readiness goes off, new work is refused while the port stays open, and what runs
gets the grace period. A second signal ends the process at once with status 128 + its number, as a
shell would report it (143, 130).
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import NoReturn, Protocol, TypeVar, cast

import structlog

from dfastllm.errors import DFastError, NotReady
from dfastllm.server import termination
from dfastllm.server.context import ServerContext

log = structlog.get_logger("dfastllm.lifecycle")

T = TypeVar("T")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOADER = "load-model"
_CLOSER = "close-engine"
# Threads that may be inside torch when the process ends; the engine's is named in engine.service.
_BUSY = frozenset({_LOADER, _CLOSER, "dfastllm-engine"})
_CLOSE_S = 5.0  # for the engine to let go after the last answer


class Phase(StrEnum):
    """Where the process is in its life."""

    LOADING = "loading"  # the port is open, the model is not there yet
    READY = "ready"  # serving, as far as the engine is alive
    DRAINING = "draining"  # finishing what runs, refusing the rest
    FAILED = "failed"  # the model could not be loaded


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading yields: the context of the routes, and how to let go of it."""

    context: ServerContext
    close: Callable[[], None] = lambda: None


class Stoppable(Protocol):
    """The part of uvicorn's Server that is needed here."""

    should_exit: bool

    async def serve(self, sockets: list[socket.socket] | None = None) -> None: ...


class Lifecycle:
    """The one place that knows whether this process takes work."""

    def __init__(self, *, grace_period_s: float = 30.0):
        self.phase = Phase.LOADING
        self.started = time.time()
        self._grace_period_s = grace_period_s
        self._loaded: Loaded | None = None
        self._working = 0
        self._drain = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signalled = False

    @property
    def ready(self) -> bool:
        return self.phase is Phase.READY and self.context().generator.ready

    @property
    def alive(self) -> bool:
        """False once the process can only be replaced."""
        if self.phase is Phase.FAILED:
            return False
        return self._loaded is None or self._loaded.context.generator.alive

    @property
    def loaded(self) -> bool:
        return self._loaded is not None

    @property
    def working_requests(self) -> int:
        return self._working

    def context(self) -> ServerContext:
        """The routes' context. Raises NotReady while there is none."""
        if self._loaded is None:
            raise NotReady("The model is still loading; please try again shortly.")
        return self._loaded.context

    def refusal(self) -> NotReady | None:
        """Why new work is not taken, if so."""
        if self.phase is Phase.READY:
            return None
        if self.phase is Phase.DRAINING:
            return NotReady("The server is shutting down; please try again.", retry_after_s=1)
        return NotReady("The model is still loading; please try again shortly.")

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count a request that shutdown waits for."""
        self._working += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()

    async def run(
        self, server: Stoppable, load: Callable[[], Loaded], sockets: list[socket.socket]
    ) -> int:
        """Serve on `sockets` until a signal or a failed load; the exit status."""
        self._loop = asyncio.get_running_loop()
        with self._signals():
            serving = asyncio.create_task(server.serve(sockets))
            loading = _in_daemon_thread(load, _LOADER)
            stopping = asyncio.create_task(self._stop_when_drained())
            done, _ = await asyncio.wait(
                (serving, loading, stopping), return_when=asyncio.FIRST_COMPLETED
            )
            if loading in done and not self._has_loaded(loading):
                server.should_exit = True
                await serving
                stopping.cancel()
                return 1
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            # The engine first: answers that are cut off end with an error, not with a dead socket.
            await self._close()
            server.should_exit = True
            stopping.cancel()
            await serving
        return 0

    def accept(self, loaded: Loaded) -> None:
        """The model is there: take work, unless it is already time to go."""
        self._loaded = loaded
        if self.phase is Phase.LOADING:
            self.phase = Phase.READY
            log.info("ready", models=loaded.context.served_names)

    def begin_drain(self) -> None:
        if self.phase is not Phase.DRAINING:
            self.phase = Phase.DRAINING
            log.info("draining", running=self._working, grace_period_s=self._grace_period_s)
        self._drain.set()

    async def _stop_when_drained(self) -> None:
        await self._drain.wait()
        try:
            await asyncio.wait_for(self._idle.wait(), self._grace_period_s)
        except TimeoutError:
            log.warning("grace period over, answers are cut off", running=self._working)

    def _has_loaded(self, loading: "asyncio.Future[Loaded]") -> bool:
        try:
            self.accept(loading.result())
        except Exception as error:
            self.phase = Phase.FAILED
            # What we raise on purpose says it all; a surprise needs its trace.
            surprise = not isinstance(error, (DFastError, OSError))
            why = f"{type(error).__name__}: {error}"
            log.error(
                "the model could not be loaded", error=why, exc_info=error if surprise else None
            )
            termination.leave(why)
            return False
        return True

    async def _close(self) -> None:
        if self._loaded is not None:
            closing = _in_daemon_thread(self._loaded.close, _CLOSER)
            await asyncio.wait((closing,), timeout=_CLOSE_S)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # only tests serve from another thread
            return
        former = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            sys.stderr.flush()
            os._exit(128 + number)
        self._signalled = True
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.begin_drain)


def _in_daemon_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """The result of `work`, done in a thread that never keeps the process alive.

    A signal while loading must not wait for gigabytes of weights, as an executor's thread would.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, result))

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        except BaseException as error:  # a library that calls sys.exit
            failure = RuntimeError(repr(error))
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def leave_on_early_signals() -> None:
    """End at once while there is nothing to drain yet.

    The kernel ignores signals for the first process of a container that has no handler for them,
    and importing takes seconds.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        os._exit(128 + number)

    for number in _SIGNALS:
        signal.signal(number, on_signal)


def leave(status: int) -> NoReturn:
    """End the process with this status, even if a thread still reads weights or computes a step.

    The interpreter must not be taken down under a thread that is inside torch: that may crash.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name in _BUSY for thread in threading.enumerate()):
        os._exit(status)
    sys.exit(status)
