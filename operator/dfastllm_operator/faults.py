"""What goes wrong between the operator and the API server, in the operator's own words.

Foreign exceptions (of the client, of aiohttp, of the sockets) become `errors.*` here and nowhere
else.
"""

import json
from collections.abc import Mapping

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from dfastllm_operator.core import Json
from dfastllm_operator.errors import ApiError, Busy, Conflict, Forbidden, Invalid, NotFound

GONE = 410
"""Status of an `ApiError` when a resourceVersion or a page of a list is too old to go on from."""


class Silent(Busy):
    """The server has the request, or is in the middle of its answer, and sends nothing."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    408: Busy,
    409: Conflict,
    GONE: ApiError,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Busy,
}

# 403 is also the answer of admission. Neither of these is a missing permission.
_REFUSED_BY_WEBHOOK = "denied the request"
_NOT_OF_ITS_TYPE = "failed to create typed patch object"  # a 500, though the object is wrong
_FOR_NOW = ("exceeded quota", "is being terminated")


def answered(error: ApiException) -> ApiError:
    """The error that the API server answered with."""
    status = _status_body(error.body)
    message = str(status.get("message") or error.reason or f"HTTP {error.status}")
    return of_status(int(error.status or 0), message, status, error.headers or {})


def of_status(
    code: int, message: str, status: Json, headers: Mapping[str, str] | None = None
) -> ApiError:
    """The error for an HTTP status or for the Status object of a watch."""
    kind = _BY_STATUS.get(code, Invalid if 400 <= code < 500 else Busy)
    if _NOT_OF_ITS_TYPE in message or (code == 403 and _REFUSED_BY_WEBHOOK in message):
        kind = Invalid
    elif code == 403 and any(text in message for text in _FOR_NOW):
        kind = Busy
    return kind(message, status=code, retry_after_s=_retry_after(status, headers or {}))


def unanswered(error: Exception) -> Busy:
    """No usable answer came: unreachable, cut off, too slow, or not JSON."""
    kind = Silent if isinstance(error, aiohttp.SocketTimeoutError) else Busy
    return kind(f"no answer from the API server: {str(error) or type(error).__name__}")


def _retry_after(status: Json, headers: Mapping[str, str]) -> float | None:
    wish = headers.get("Retry-After") or (status.get("details") or {}).get("retryAfterSeconds")
    try:
        return float(wish) if wish else None
    except ValueError:
        return None  # a date; no API server sends one


def _status_body(body: str | None) -> Json:
    try:
        status = json.loads(body or "")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}
