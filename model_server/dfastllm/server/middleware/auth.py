"""Who is calling: the holder of an API key, or without keys the address.

Every path but the probes, `/version`, `/metrics` and `/` wants a key. The key comes as
`Authorization: Bearer KEY` or `x-api-key: KEY`.
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dfastllm.server.context import Caller
from dfastllm.server.errors import ErrorReply, Refused, error_response
from dfastllm.server.keys import KeyStore
from dfastllm.server.paths import is_open, path_of
from dfastllm.server.peer import Network, client_address
from dfastllm.server.record import record_of

_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_MISSING = (
    "You did not give an API key: send it as 'Authorization: Bearer KEY'.",
    "authentication_error",
    None,
    "invalid_api_key",
)
_WRONG = ("The API key is not valid here.", "authentication_error", None, "invalid_api_key")


class AuthMiddleware:
    def __init__(self, app: ASGIApp, *, keys: KeyStore | None, trusted: Sequence[Network] = ()):
        self._app = app
        self._keys = keys
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(path_of(scope)):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if self._keys is None:
            caller = Caller(name=client_address(scope, self._trusted))
        else:
            presented = _presented(scope)
            key = self._keys.find(presented) if presented else None
            if key is None:
                reply = ErrorReply(401, *(_WRONG if presented else _MISSING), _CHALLENGE)
                await error_response(Refused(reply), Request(scope))(scope, receive, send)
                return
            caller = key.caller
            state["api_key"] = key
        state["caller"] = caller
        record_of(scope).caller = caller.name
        await self._app(scope, receive, send)


def _presented(scope: Scope) -> str:
    """The key in the request; an Authorization header of another kind is no key."""
    found = ""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, key = value.decode("latin-1").partition(" ")
            if kind.lower() == "bearer":
                return str(key.strip())
        elif name == b"x-api-key":
            found = value.decode("latin-1").strip()
    return found
