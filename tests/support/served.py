"""The whole HTTP side in this process: routes, middlewares and lifecycle over a scripted generator.

served = Served(settings={"request_rate": "2/minute"})
served.client.post("/v1/completions", json=...)
"""

from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from dfastllm.server.app import build_app
from dfastllm.server.lifecycle import Lifecycle, Loaded
from dfastllm.server.stack import build_stack
from dfastllm.settings_sources import load
from support.scripted import ScriptedGenerator, server_context

TEXT = {"model": "tiny", "prompt": "hi"}


class Served:
    """`ready` False leaves it in the state before the model is loaded."""

    def __init__(
        self,
        settings: dict[str, Any] | None = None,
        engine: ScriptedGenerator | None = None,
        *,
        ready: bool = True,
        make_app: Callable[[Lifecycle], ASGIApp] = build_app,
        peer: str = "192.0.2.7",
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
