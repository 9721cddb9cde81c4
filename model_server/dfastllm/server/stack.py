"""The middlewares and their order: the first listed sees a request first and its answer last.

1. request id    every answer carries one, whoever gives it
2. access        one line and one set of numbers per request; last resort for exceptions
3. CORS          preflights have no key; refusals must be readable by a page too
4. drain         refuse cheaply while loading or shutting down
5. auth          who is calling
6. rate limit    how much that one may call; needs 5
7. body limit    before anything reads the body
8. current       what KServe's handlers are not told
"""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from dfastllm.metrics import HttpMetrics
from dfastllm.server.current import CurrentRequestMiddleware
from dfastllm.server.keys import KeyStore
from dfastllm.server.lifecycle import Lifecycle
from dfastllm.server.middleware.access import AccessMiddleware
from dfastllm.server.middleware.auth import AuthMiddleware
from dfastllm.server.middleware.body_limit import BodyLimitMiddleware
from dfastllm.server.middleware.drain import DrainMiddleware
from dfastllm.server.middleware.rate_limit import RateLimiter, RateLimitMiddleware
from dfastllm.server.middleware.request_id import RequestIdMiddleware
from dfastllm.settings import Settings

_EXPOSED = (
    "x-request-id",
    "retry-after",
    *(
        f"x-ratelimit-{name}-{kind}"
        for kind in ("requests", "tokens")
        for name in ("limit", "remaining", "reset")
    ),
)


def build_stack(app: ASGIApp, settings: Settings, lifecycle: Lifecycle) -> ASGIApp:
    """The application inside all of its middlewares. Raises KeysError."""
    server = settings.server
    rates = settings.rate_limit
    metrics = HttpMetrics()
    keys = KeyStore(settings.auth.api_keys_file) if settings.auth.api_keys_file else None
    app = CurrentRequestMiddleware(app)
    app = BodyLimitMiddleware(app, max_body_bytes=server.max_body_bytes)
    limiter = RateLimiter(rates.request_rate, rates.token_rate)
    app = RateLimitMiddleware(app, limiter=limiter, metrics=metrics)
    app = AuthMiddleware(app, keys=keys, trusted=server.trusted_networks)
    app = DrainMiddleware(app, lifecycle=lifecycle)
    if server.cors_origin:
        app = CORSMiddleware(
            app,
            allow_origins=server.cors_origin,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=_EXPOSED,
        )
    app = AccessMiddleware(app, metrics=metrics, lines=server.access_log)
    return RequestIdMiddleware(app)
