"""An `x-request-id` on every response, errors and streams too.

The client's own is kept when it is short and printable, so that its logs and ours can be joined.
"""

import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfastllm.server.record import record_of

_KEPT = re.compile(rb"^[A-Za-z0-9._:/+=@-]{1,128}$")


class RequestIdMiddleware:
    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given(scope) or uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        record_of(scope).request_id = request_id
        header = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = (pair for pair in message["headers"] if pair[0] != header[0])
                message["headers"] = [*others, header]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _KEPT.match(value):
            return str(value.decode())
    return None
