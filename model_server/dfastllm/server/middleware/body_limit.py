"""Bodies over the limit are refused with 413, whether their length is announced or not.

What the client goes on sending is thrown away piece by piece, up to a bound, so that it gets to
read the answer and the connection stays usable; nothing is collected.
"""

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfastllm.server.errors import ErrorReply, Refused, error_response

_LINGER_BYTES = 64 * 1024 * 1024
_LINGER_S = 5.0


class BodyLimitMiddleware:
    def __init__(self, app: ASGIApp, *, max_body_bytes: int):
        self._app = app
        self._max = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > self._max:
            # A client that asked first has sent nothing yet, and need not.
            whole = not _expects_continue(scope) and await _discard(receive)
            await self._refuse(scope, receive, send, whole)
            return
        body = _CountedBody(receive, send, self._max)
        with contextlib.suppress(_TooLarge):
            await self._app(scope, body.receive, body.send)
        if body.exceeded and not body.started:
            whole = body.ended or await _discard(receive)
            await self._refuse(scope, receive, send, whole)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, whole: bool) -> None:
        """Answer 413; the connection ends with it unless the whole body was read away."""
        message = f"The body is larger than this server takes: {self._max} bytes at most."
        headers = {} if whole else {"Connection": "close"}
        reply = ErrorReply(413, message, "request_too_large", None, "request_too_large", headers)
        await error_response(Refused(reply), Request(scope))(scope, receive, send)


class _TooLarge(Refused):
    """Stops whoever reads the body; a refusal, so that nobody takes it for a fault of ours."""

    def __init__(self) -> None:
        super().__init__(ErrorReply(413, "too large", "request_too_large"))


class _CountedBody:
    def __init__(self, receive: Receive, send: Send, limit: int):
        self._receive = receive
        self._send = send
        self._left = limit
        self.ended = False
        self.exceeded = False
        self.started = False

    async def receive(self) -> Message:
        if self.exceeded:
            raise _TooLarge
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self.ended = not message.get("more_body", False)
            if self._left < 0:
                self.exceeded = True
                raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded and not self.started:
            return  # the application's own idea of what went wrong; ours follows
        self.started = True
        await self._send(message)


def _announced(scope: MutableMapping[str, Any]) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0  # the protocol layer refuses others
    return 0


def _expects_continue(scope: Scope) -> bool:
    return any(name == b"expect" for name, _ in scope["headers"])


async def _discard(receive: Receive) -> bool:
    """Throw the rest of the body away; False when it was too much or too slow."""
    left = _LINGER_BYTES
    try:
        async with asyncio.timeout(_LINGER_S):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return True
                left -= len(message.get("body", b""))
    except TimeoutError:
        pass
    return False
