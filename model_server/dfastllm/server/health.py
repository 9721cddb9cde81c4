"""Probes, version and metrics: open to everybody, cheap, and never in the way of answers."""

import sys
import time
from typing import Any

import orjson
from fastapi import APIRouter
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import ALLOWUTF8
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from dfastllm import __version__
from dfastllm.server.lifecycle import Lifecycle, Phase

_LINKS = {
    "openai": "/v1",
    "models": "/v1/models",
    "health": "/health",
    "ready": "/health/ready",
    "metrics": "/metrics",
    "schema": "/openapi.json",
}


def health_router(lifecycle: Lifecycle) -> APIRouter:
    """`/`, `/health*`, `/version` and `/metrics`; V2's two server probes follow ours."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def index() -> Response:
        return _json(
            {"name": "dfastllm", "version": __version__, "status": status(), "links": _LINKS}
        )

    @router.get("/health")
    async def health() -> Response:
        detail: dict[str, Any] = {
            "status": status(),
            "version": __version__,
            "uptime_s": round(time.time() - lifecycle.started, 1),
            "working_requests": lifecycle.working_requests,
        }
        if lifecycle.phase in (Phase.READY, Phase.DRAINING) and lifecycle.loaded:
            detail["models"] = lifecycle.context().served_names
        return _json(detail, 200 if lifecycle.alive else 503)

    @router.get("/health/live")
    @router.get("/v2/health/live")
    async def live() -> Response:
        return _json({"live": lifecycle.alive}, 200 if lifecycle.alive else 503)

    @router.get("/health/ready")
    @router.get("/v2/health/ready")
    async def ready() -> Response:
        detail = {"ready": lifecycle.ready, "status": status()}
        return _json(detail, 200 if lifecycle.ready else 503)

    @router.get("/version")
    async def version() -> Response:
        torch = sys.modules.get("torch")
        versions = {"version": __version__, "python": sys.version.split()[0]}
        if torch is not None:
            versions["torch"] = str(getattr(torch, "__version__", ""))
        return _json(versions)

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        if content_type.startswith("application/openmetrics-text"):
            encode = _openmetrics
        return Response(encode(REGISTRY), headers={"content-type": content_type})

    def status() -> str:
        if not lifecycle.alive:
            return "failed"
        if lifecycle.phase is Phase.READY and not lifecycle.ready:
            return "warming up"
        return lifecycle.phase.value

    return router


def _openmetrics(registry: Collector) -> bytes:
    """What most Prometheus servers ask for, with names as they are: all of ours need no escaping.

    Escaping as the library does it by default puts an underscore for the colon of `vllm:...`.
    """
    written: bytes = openmetrics(registry, escaping=ALLOWUTF8)  # type: ignore[no-untyped-call]
    return written


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
