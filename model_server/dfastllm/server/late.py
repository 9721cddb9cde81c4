"""The server's context before there is one: routes are mounted first, the model is loaded after.

Until then every look at the context raises NotReady, which is a 503 with Retry-After.
"""

from collections.abc import Callable
from typing import Any, cast

from dfastllm.server.context import ServerContext


class _LateContext:
    __slots__ = ("_get",)

    def __init__(self, get: Callable[[], ServerContext]):
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)


def late_context(get: Callable[[], ServerContext]) -> ServerContext:
    """A ServerContext that asks `get` at each use."""
    return cast(ServerContext, _LateContext(get))
