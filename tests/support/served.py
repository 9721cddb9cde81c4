"""The whole HTTP side in this process: routes, middlewares and lifecycle over a scripted generator.

served = Served(settings={"request_rate": "2/minute"})
served.client.post("/v1/completions", json=...)
"""

from collections.abc import Callable
from typing import Any

import anyio
import orjson
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Scope

from dfastllm.server.app import build_app
from dfastllm.server.lifecycle import Lifecycle, Loaded
from dfastllm.server.stack import build_stack
from dfastllm.settings_sources import load
from support.scripted import ScriptedGenerator, server_context

TEXT = {"model": "tiny", "prompt": "hi"}
PEER = "192.0.2.7"


class Served:
    """`ready` False leaves it in the state before the model is loaded."""

    def __init__(
        self,
        settings: dict[str, Any] | None = None,
        engine: ScriptedGenerator | None = None,
        *,
        ready: bool = True,
        make_app: Callable[[Lifecycle], ASGIApp] = build_app,
        peer: str = PEER,
    ):
        self.settings = load(settings or {}, environ={}).settings
        self.engine = engine or ScriptedGenerator()
        self.lifecycle = Lifecycle(grace_period_s=self.settings.server.grace_period_s)
        if ready:
            self.lifecycle.accept(Loaded(server_context(self.engine)))
        self.app = build_stack(make_app(self.lifecycle), self.settings, self.lifecycle)
        self.client = self.from_peer(peer)

    def from_peer(self, peer: str, **headers: str) -> TestClient:
        return TestClient(
            self.app, client=(peer, 50000), headers=headers, raise_server_exceptions=False
        )

    def hang_up(self, path: str, body: Any, *, after_s: float = 0.1, peer: str = PEER) -> None:
        """Ask, and be gone before the answer."""
        request = {"type": "http.request", "body": orjson.dumps(body), "more_body": False}
        messages: list[Message] = [request]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await anyio.sleep(after_s)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None: ...

        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
            "client": (peer, 50000),
        }
        anyio.run(self.app, scope, receive, send)
