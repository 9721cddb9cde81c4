"""New work is refused while the model loads and while the server drains; running work is counted.

503 with Retry-After and, when draining, `Connection: close`: the client comes back through the load
balancer and lands on another replica.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dfastllm.server.errors import Refused, error_response, reply_for
from dfastllm.server.lifecycle import Lifecycle
from dfastllm.server.paths import is_work


class DrainMiddleware:
    def __init__(self, app: ASGIApp, *, lifecycle: Lifecycle):
        self._app = app
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_work(scope):
            await self._app(scope, receive, send)
            return
        refusal = self._lifecycle.refusal()
        if refusal is None:
            with self._lifecycle.working():
                await self._app(scope, receive, send)
            return
        reply = reply_for(refusal)
        reply.headers["Connection"] = "close"
        await error_response(Refused(reply), Request(scope))(scope, receive, send)
