"""Errors on the wire: one table from exception to status, type and code, and one JSON form.

The form is always `{"error": {"message", "type", "param", "code"}}` with all four keys, because
that is what every OpenAI client reads. Statuses matter as much: clients repeat 408, 429 and 5xx.
"""

import logging
import uuid
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dfastllm.errors import (
    Cancelled,
    DeadlineExceeded,
    DFastError,
    EngineFailed,
    InvalidRequest,
    NotReady,
    Overloaded,
    RowFailed,
)
from dfastllm.server.record import record_of

log = logging.getLogger(__name__)

_INVALID = "invalid_request_error"
_ENGINE_RETRY_S = 5  # a dead engine's pod is replaced; a repeat lands on another replica


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """One error as it goes out."""

    status: int
    message: str
    type: str
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, dict[str, str | None]]:
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class Refused(DFastError):
    """An answer the HTTP layer itself gives, without an exception of the engine behind it."""

    def __init__(self, reply: ErrorReply):
        super().__init__(reply.message)
        self.reply = reply


def model_not_found(name: str) -> Refused:
    message = f"The model {name[:200]!r} does not exist here."
    return Refused(ErrorReply(404, message, _INVALID, "model", "model_not_found"))


def unsupported_media_type() -> Refused:
    message = "The body must be JSON: send it with the header 'Content-Type: application/json'."
    return Refused(ErrorReply(415, message, _INVALID))


def reply_for(error: BaseException) -> ErrorReply:
    """The table. Whatever is not in it is a fault of ours, and its text stays in the log."""
    match error:
        case Refused():
            return error.reply
        case InvalidRequest():
            return ErrorReply(400, str(error), _INVALID, error.param, error.code or None)
        case Overloaded(scope="key"):
            headers = _retry_after(error.retry_after_s)
            reply = "rate_limit_error", None, "rate_limit_exceeded"
            return ErrorReply(429, str(error), *reply, headers)
        case Overloaded() | NotReady():
            return _unavailable(str(error), error.retry_after_s)
        case EngineFailed():
            return _unavailable("The engine has failed; the server restarts.", _ENGINE_RETRY_S)
        case DeadlineExceeded():
            # Clients repeat a 408; the time its caller allowed for this answer is gone.
            headers = {"x-should-retry": "false"}
            return ErrorReply(408, str(error), "timeout_error", None, "timeout", headers)
        case Cancelled() | ClientDisconnect():
            return ErrorReply(499, "The request was cancelled.", _INVALID, None, "cancelled")
        case RowFailed():
            return _server_error(f"The answer could not be computed: {error}.")
        case _:
            return _server_error("The server made a mistake.")


def error_response(error: BaseException, request: Request | None = None) -> Response:
    """The response for this error; noted in the request's record, logged when it is our fault."""
    return _respond(reply_for(error), request, error)


def _respond(reply: ErrorReply, request: Request | None, error: BaseException) -> Response:
    response = Response(
        orjson.dumps(reply.body()),
        status_code=reply.status,
        headers=reply.headers,
        media_type="application/json",
    )
    note_error(reply, request, error)
    if request is not None:
        stamp_request_id(request, response)
    return response


def note_error(reply: ErrorReply, request: Request | None, error: BaseException) -> None:
    if request is not None:
        record = record_of(request.scope)
        record.error_code, record.error_status = reply.code or reply.type, reply.status
    if reply.status == 500:
        log.error("request failed", exc_info=error)


def stamp_request_id(request: Request, response: Response) -> None:
    """Give the response an `x-request-id`, unless a middleware has taken charge of that."""
    if "request_id" in request.scope.setdefault("state", {}):
        return
    record = record_of(request.scope)
    record.request_id = record.request_id or uuid.uuid4().hex
    response.headers["x-request-id"] = record.request_id


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of this application take our form instead of FastAPI's `detail`."""
    app.add_exception_handler(DFastError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_error)


async def _on_error(request: Request, error: Exception) -> Response:
    return error_response(error, request)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    first: dict[str, Any] = {}
    if isinstance(error, RequestValidationError) and error.errors():
        first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ())[1:]) or None
    message = str(first.get("msg", "The request is not valid."))
    return _respond(ErrorReply(400, message, _INVALID, where, "invalid_value"), request, error)


_HTTP_KINDS = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: (_INVALID, "not_found"),
    405: (_INVALID, "method_not_allowed"),
    408: ("timeout_error", "timeout"),
    413: ("request_too_large", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("service_unavailable_error", "server_is_overloaded"),
}


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # never: the handler is registered for the class
        raise error
    status = error.status_code
    kind, code = _HTTP_KINDS.get(status, (_INVALID if status < 500 else "server_error", None))
    message = str(error.detail)
    if message in ("Not Found", "Method Not Allowed"):
        message = f"There is no {request.method} {request.url.path[:200]} here."
    headers = dict(error.headers or {})
    return _respond(ErrorReply(status, message, kind, None, code, headers), request, error)


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(max(1, seconds))}


def _unavailable(message: str, retry_after_s: int) -> ErrorReply:
    reply = "service_unavailable_error", None, "server_is_overloaded"
    return ErrorReply(503, message, *reply, _retry_after(retry_after_s))


def _server_error(message: str) -> ErrorReply:
    return ErrorReply(500, message, "server_error", None, "server_error")
