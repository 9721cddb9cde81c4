"""The server without KServe: our routes on uvicorn, nothing else to import."""

from collections.abc import Callable

from dfastllm.server.app import build_app
from dfastllm.server.lifecycle import Lifecycle, Loaded
from dfastllm.server.serving import serve
from dfastllm.server.stack import build_stack
from dfastllm.settings import Settings


def run_plain(settings: Settings, load: Callable[[], Loaded]) -> int:
    """Serve until told to stop; the exit status."""
    lifecycle = Lifecycle(grace_period_s=settings.server.grace_period_s)
    stack = build_stack(build_app(lifecycle), settings, lifecycle)
    return serve(stack, settings, lifecycle, load)
