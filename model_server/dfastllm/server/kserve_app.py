"""The server as a KServe model server: KServe's V1 and V2 routes beside ours, one process, no gRPC.

KServe's SDK keeps the registry, the protocols and its metrics. Sockets, signals and middlewares are
the same as in the plain form, because the SDK has no way to drain, to bound a body or to choose an
address.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dfastllm.server.app import build_app
from dfastllm.server.argv import bare_argv
from dfastllm.server.lifecycle import Lifecycle, Loaded
from dfastllm.server.middleware.access import MODEL_NOT_FOUND
from dfastllm.server.model import DiffusionModel
from dfastllm.server.record import record_of
from dfastllm.server.serving import serve
from dfastllm.server.stack import build_stack
from dfastllm.settings import Settings

with bare_argv():
    from kserve import ModelServer, errors
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
    from kserve.protocol.rest.v2_endpoints import register_v2_endpoints

# Anybody who reaches the port could unload the model.
_NEVER_SERVED = "/v2/repository/{rest:path}"

# KServe's own handlers answer the same, but log a trace for every mistake of a client.
_STATUS: dict[type[Exception], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.InferenceError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ModelNotFound: HTTPStatus.NOT_FOUND,
    errors.ModelNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ServerNotLive: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ServerNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UnsupportedProtocol: HTTPStatus.NOT_IMPLEMENTED,
    NotImplementedError: HTTPStatus.NOT_IMPLEMENTED,
}


class _DataPlane(DataPlane):  # type: ignore[misc]
    """KServe's, without the routes of the repository among what it offers."""

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "extensions": []}


class KServeServer(ModelServer):  # type: ignore[misc]
    """KServe's model server with our sockets and lifecycle."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, load: Callable[[], Loaded]):
        super().__init__(
            http_port=settings.server.port,
            workers=1,
            enable_grpc=False,
            enable_latency_logging=False,
            grace_period=int(settings.server.grace_period_s),
            ssl_certfile=None,
            ssl_keyfile=None,
        )
        self.dataplane = _DataPlane(model_registry=self.registered_models)
        self._settings = settings
        self._lifecycle = lifecycle
        self._load = load
        self.exit_status = 0

    def start(self, models: list[DiffusionModel]) -> None:
        """Serve these models until told to stop."""
        self._register_and_check_atleast_one_model_is_ready(models)
        stack = build_stack(self.application(), self._settings, self._lifecycle)
        self.exit_status = serve(stack, self._settings, self._lifecycle, self._load)

    def application(self) -> FastAPI:
        """Our routes first: `/v1/models` is OpenAI's, `/v1/models/NAME:predict` KServe's."""
        app = build_app(self._lifecycle)
        app.router.add_route(_NEVER_SERVED, _not_here, methods=["GET", "POST"])
        register_v1_endpoints(app, self.dataplane, self.model_repository_extension)
        register_v2_endpoints(app, self.dataplane, self.model_repository_extension)
        # What ours or nothing answers has no place in the OpenAPI document.
        app.router.routes[:] = [route for route in app.router.routes if not _shadowed(route)]
        for kind in _STATUS:
            app.add_exception_handler(kind, _on_kserve_error)
        return app


def _shadowed(route: BaseRoute) -> bool:
    path = getattr(route, "path", "")
    return path == "/v1/models/{model_name}" or path.startswith("/v2/repository/models")


async def _not_here(request: Request) -> Response:
    raise HTTPException(HTTPStatus.NOT_FOUND)


async def _on_kserve_error(request: Request, error: Exception) -> Response:
    """KServe's protocols have an error form of their own: `{"error": "text"}`."""
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    headers: dict[str, Any] = {"Retry-After": "5"} if status == 503 else {}
    if isinstance(error, errors.ModelNotFound):  # the record's words are those of our own routes
        record = record_of(request.scope)
        record.error_code, record.error_status = MODEL_NOT_FOUND, int(status)
    body = orjson.dumps({"error": str(error)})
    return Response(body, status_code=int(status), headers=headers, media_type="application/json")


def run_kserve(settings: Settings, load: Callable[[], Loaded]) -> int:
    """Serve until told to stop; the exit status."""
    lifecycle = Lifecycle(grace_period_s=settings.server.grace_period_s)
    server = KServeServer(settings, lifecycle, load)
    server.start([DiffusionModel(settings.model.kserve_model_name, lifecycle)])
    return server.exit_status
