"""The application: our routes and our error form. KServe's routes may be added to it later."""

from fastapi import FastAPI

from dfastllm import __version__
from dfastllm.server.errors import install_error_handlers
from dfastllm.server.health import health_router
from dfastllm.server.late import late_context
from dfastllm.server.lifecycle import Lifecycle
from dfastllm.server.routes import openai_router


def build_app(lifecycle: Lifecycle) -> FastAPI:
    """All routes, mounted before there is a model: each asks `lifecycle` for it when called."""
    app = FastAPI(
        title="dfastllm",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        # A redirect would be an absolute address made of whatever Host the client sent.
        redirect_slashes=False,
    )
    install_error_handlers(app)
    app.include_router(health_router(lifecycle))
    app.include_router(openai_router(late_context(lifecycle.context)))
    return app
