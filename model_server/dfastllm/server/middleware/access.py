"""One line and one set of numbers per request, written when it is over; never its text.

Being outermost but for the request id, it is also the last resort for exceptions: whatever escaped
the application gets an answer if none was begun, and ends here if one was complete.
"""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfastllm.metrics import HttpMetrics
from dfastllm.server.errors import error_response
from dfastllm.server.paths import INFERENCE, name_of, path_of
from dfastllm.server.record import RequestRecord, record_of

log = structlog.get_logger("dfastllm.access")

_QUIET = frozenset({"health", "metrics"})


class AccessMiddleware:
    def __init__(self, app: ASGIApp, *, metrics: HttpMetrics, lines: bool = True):
        self._app = app
        self._metrics = metrics
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = record_of(scope)
        answer = _Answer(send, record, self._metrics)
        route = name_of(path_of(scope))
        if route in INFERENCE:
            self._metrics.begun()
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if not answer.status:
                await error_response(error)(scope, receive, answer.send)
            elif not answer.complete:
                # The client must not take half an answer for a whole one: the connection breaks.
                record.error_code = record.error_code or "server_error"
                record.error_status = record.error_status or 500
                raise
        finally:
            if route in INFERENCE:
                self._metrics.ended()
            self._report(scope, route, record, answer)

    def _report(self, scope: Scope, route: str, record: RequestRecord, answer: "_Answer") -> None:
        path = path_of(scope)
        seconds = time.perf_counter() - record.started
        outcome = _outcome(answer, record)
        self._metrics.request(route, outcome)
        if outcome == "ok" and route in INFERENCE:
            self._metrics.latency(seconds, record.ttft_s)
        if not self._lines:
            return
        write = log.debug if route in _QUIET and outcome in ("ok", "unavailable") else log.info
        write("request", **_line(scope["method"], path, seconds, outcome, answer, record))


class _Answer:
    """The sending side of one request, watched."""

    def __init__(self, send: Send, record: RequestRecord, metrics: HttpMetrics):
        self._send = send
        self._record = record
        self._metrics = metrics
        self._last_chunk: float | None = None
        self.status = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)
            if self._record.stream and not self.complete:
                self._chunk(message.get("body", b""))
        await self._send(message)

    def _chunk(self, body: bytes) -> None:
        if not body or body.startswith(b":"):  # comments keep the line open, they carry nothing
            return
        now = time.perf_counter()
        if self._last_chunk is not None:
            self._metrics.inter_chunk(now - self._last_chunk)
        self._last_chunk = now


MODEL_NOT_FOUND = "model_not_found"

_BY_STATUS = {
    401: "unauthorized",
    408: "deadline",
    413: "too_large",
    429: "rate_limited",
    501: "client_error",  # asked for what the protocol has and this server has not
    503: "unavailable",
}


def _outcome(answer: _Answer, record: RequestRecord) -> str:
    if record.error_code == "cancelled" or not (answer.complete or record.error_code):
        return "cancelled"
    # Of two revisions behind one name it means that one lacks the model: not the client's mistake.
    if record.error_code == MODEL_NOT_FOUND:
        return MODEL_NOT_FOUND
    # An error inside a stream comes after a status line that says 200.
    status = answer.status if answer.status >= 400 else record.error_status or answer.status
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return "server_error"
    return "client_error" if status >= 400 else "ok"


def _line(
    method: str, path: str, seconds: float, outcome: str, answer: _Answer, record: RequestRecord
) -> dict[str, object]:
    line: dict[str, object] = {
        "request_id": record.request_id,
        "method": method,
        "path": path[:200],
        "status": answer.status or 499,
        "ms": round(seconds * 1000, 1),
        "outcome": outcome,
    }
    known = {
        "caller": record.caller,
        "model": record.model,
        "stream": record.stream,
        "choices": record.choices,
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "forward_passes": record.forward_passes,
        "refresh_passes": record.refresh_passes,
        "verifier_passes": record.verifier_passes,
        "drafted": record.drafted,
        "accepted": record.accepted,
        "queue_ms": round(record.queue_s * 1000, 1),
        "ttft_ms": None if record.ttft_s is None else round(record.ttft_s * 1000, 1),
        "preset": record.preset,
        "strategy": record.strategy,
        "cache": record.cache,
        "finish_reason": record.finish_reason,
        "ignored": list(record.ignored),
        "error_code": record.error_code,
    }
    return line | {name: value for name, value in known.items() if value}
