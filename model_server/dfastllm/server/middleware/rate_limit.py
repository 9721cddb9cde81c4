"""How much one caller may ask for: requests in a moving window, tokens in a sliding one.

Requests are counted on arrival, before the body is read. Tokens are charged when the answer is
over, from what it really took: a caller in debt waits until the window has moved on.
"""

import math
import time
from dataclasses import dataclass
from typing import Literal

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfastllm.metrics import HttpMetrics
from dfastllm.server.errors import ErrorReply, Refused, error_response
from dfastllm.server.paths import is_open, is_work, path_of
from dfastllm.server.record import record_of

Kind = Literal["requests", "tokens"]
Headers = list[tuple[bytes, bytes]]

_NO_LIMIT = 2**62


class RateLimiter:
    """The counters of all callers, in the memory of this process."""

    def __init__(self, request_rate: str | None, token_rate: str | None):
        self._rates: dict[Kind, str | None] = {"requests": request_rate, "tokens": token_rate}
        self._storage = MemoryStorage()
        # Exact for requests. Tokens go by the thousand, and the moving window keeps one entry for
        # each; the counter of two windows costs the same whatever the number.
        self._requests = MovingWindowRateLimiter(self._storage)
        self._tokens = SlidingWindowCounterRateLimiter(self._storage)
        self._items: dict[str, RateLimitItem] = {}

    def item(self, kind: Kind, own: str | None) -> RateLimitItem | None:
        """The limit in force: the key's own, else the server's."""
        rate = own or self._rates[kind]
        if rate is None:
            return None
        if rate not in self._items:
            self._items[rate] = parse(rate)
        return self._items[rate]

    def admit(self, kind: Kind, item: RateLimitItem, caller: str) -> "Verdict":
        if kind == "requests":
            allowed = self._requests.hit(item, kind, caller)
            reset, remaining = self._requests.get_window_stats(item, kind, caller)
        else:
            allowed = self._tokens.test(item, kind, caller)
            reset, remaining = self._tokens.get_window_stats(item, kind, caller)
        return Verdict(kind, allowed, item.amount, remaining, max(0.0, reset - time.time()))

    def charge(self, item: RateLimitItem, caller: str, tokens: int) -> None:
        """Count tokens even beyond the limit: the answer is written, the debt is real."""
        key = item.key_for("tokens", caller)
        self._storage.acquire_sliding_window_entry(key, _NO_LIMIT, item.get_expiry(), tokens)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limit of one kind says; `reset_s` is the time until it is whole again."""

    kind: Kind
    allowed: bool
    limit: int
    remaining: int
    reset_s: float

    def headers(self) -> Headers:
        values = {
            "limit": str(self.limit),
            "remaining": str(self.remaining),
            "reset": f"{math.ceil(self.reset_s)}s",
        }
        return [
            (f"x-ratelimit-{name}-{self.kind}".encode(), value.encode())
            for name, value in values.items()
        ]

    def refusal(self) -> Refused:
        wait = max(1, math.ceil(self.reset_s))
        message = (
            f"Rate limit reached: {self.limit} {self.kind} in its window. "
            f"Please try again in {wait} s."
        )
        headers = {"Retry-After": str(wait)}
        return Refused(
            ErrorReply(429, message, "rate_limit_error", None, "rate_limit_exceeded", headers)
        )


class RateLimitMiddleware:
    def __init__(self, app: ASGIApp, *, limiter: RateLimiter, metrics: HttpMetrics):
        self._app = app
        self._limiter = limiter
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_work(scope) or is_open(path_of(scope)):
            await self._app(scope, receive, send)
            return
        state = scope["state"]
        caller, key = state["caller"].name, state.get("api_key")
        requests = self._limiter.item("requests", key and key.request_rate)
        tokens = self._limiter.item("tokens", key and key.token_rate)
        # Tokens first: they are only looked at, so a refusal costs the caller no request.
        verdicts: list[Verdict] = []
        for kind, item in (("tokens", tokens), ("requests", requests)):
            if item is not None:
                verdicts.append(self._limiter.admit(kind, item, caller))  # type: ignore[arg-type]
                if not verdicts[-1].allowed:
                    break
        send = _with_headers(send, [pair for verdict in verdicts for pair in verdict.headers()])
        if verdicts and not verdicts[-1].allowed:
            self._metrics.rate_limited(verdicts[-1].kind)
            response = error_response(verdicts[-1].refusal(), Request(scope))
            await response(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            record = record_of(scope)
            used = record.prompt_tokens + record.completion_tokens
            if tokens is not None and used:
                self._limiter.charge(tokens, caller, used)


def _with_headers(send: Send, headers: Headers) -> Send:
    if not headers:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return send_with_headers
