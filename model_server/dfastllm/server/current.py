"""The request being served, for code that KServe calls without it."""

import asyncio
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfastllm.server.context import Caller
from dfastllm.server.record import RequestRecord, record_of


async def _never() -> Message:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


_SCOPE: ContextVar[MutableMapping[str, Any] | None] = ContextVar("scope", default=None)
_RECEIVE: ContextVar[Receive] = ContextVar("receive", default=_never)


class CurrentRequestMiddleware:
    """Innermost: what it remembers is what the application sees."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _SCOPE.set(scope)
            _RECEIVE.set(receive)
        await self._app(scope, receive, send)


def current_record() -> RequestRecord:
    scope = _SCOPE.get()
    return RequestRecord() if scope is None else record_of(scope)


def current_caller() -> Caller:
    scope = _SCOPE.get()
    caller = None if scope is None else scope.get("state", {}).get("caller")
    return caller if isinstance(caller, Caller) else Caller()


def current_receive() -> Receive:
    """What tells of the client hanging up; outside of a request nobody does."""
    return _RECEIVE.get()
