"""What kubelet and Prometheus ask: /livez, /readyz and /metrics.

Not alive means that a restart would help, and says why; not ready means that something outside is
missing. The server shares the event loop with all else, so a blocked loop shows as no answer.
"""

from collections.abc import Callable, Iterable

from aiohttp import web

from dfastllm_operator.metrics import CONTENT_TYPE, Metrics

Check = Callable[[], Iterable[str]]
"""What is wrong, in words; nothing when all is well."""


class HealthServer:
    """Answers from the checks that were added; without any, all is well."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._alive: list[Check] = []
        self._ready: list[Check] = []
        self._before_metrics: list[Callable[[], None]] = []
        self._runner: web.AppRunner | None = None

    def alive_if(self, check: Check) -> None:
        self._alive.append(check)

    def ready_if(self, check: Check) -> None:
        self._ready.append(check)

    def before_metrics(self, update: Callable[[], None]) -> None:
        """Called before metrics are shown, for those that are read rather than counted."""
        self._before_metrics.append(update)

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which was chosen by the system if `port` is 0."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host or None, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return _answer(self._alive)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._ready)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        for update in self._before_metrics:
            update()
        body = self._metrics.render()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


def _answer(checks: Iterable[Check]) -> web.Response:
    problems = [problem for check in checks for problem in check()]
    return web.Response(text="\n".join(problems) or "ok", status=503 if problems else 200)
