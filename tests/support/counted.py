"""Model servers that only count: their metrics as points, readings and pages, without a model."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from dfastllm.core import RequestStats
from dfastllm.metrics import EngineMetrics, HttpMetrics, make_instruments
from dfastllm_operator.analysis.exposition import points
from dfastllm_operator.analysis.series import Reading, read
from dfastllm_operator.analysis.window import Look, Sample, Side


class CountedServer:
    """A process of a model server with the real instruments; `restart` makes it a new one."""

    def __init__(self, started: float = 1000.0) -> None:
        self.restart(started)

    def restart(self, started: float) -> None:
        self._registry = CollectorRegistry()
        instruments = make_instruments(self._registry)
        self._engine, self._http = EngineMetrics(instruments), HttpMetrics(instruments)
        Gauge("process_start_time_seconds", "Start.", registry=self._registry).set(started)
        self.running(0)

    def running(self, count: int) -> None:
        self._engine.set_load(count, 0)

    def answer(
        self, count: int = 1, *, tokens: int = 40, forwards: int = 10, seconds: float = 0.2
    ) -> None:
        """Answers that went well."""
        for _ in range(count):
            stats = RequestStats(
                prompt_tokens=5,
                completion_tokens=tokens,
                forward_passes=forwards,
                refresh_passes=0,
                queue_s=0.002,
                compute_s=seconds,
            )
            self._engine.step(seconds, "block", 1, 64, tokens)
            self._engine.finished(stats, "stop")
            self._http.request("chat", "ok")
            self._http.latency(seconds, seconds / 2)

    def fail(self, count: int = 1, outcome: str = "server_error", route: str = "chat") -> None:
        for _ in range(count):
            self._http.request(route, outcome)

    def page(self) -> bytes:
        return generate_latest(self._registry)

    def reading(self) -> Reading:
        return read(points(self.page()))


def sample(at: float, stable: CountedServer, candidate: CountedServer) -> Sample:
    """One look at one pod on each side."""
    sides: Mapping[Side, CountedServer] = {Side.STABLE: stable, Side.CANDIDATE: candidate}
    return Sample(at, {side: Look({f"{side}-0": s.reading()}) for side, s in sides.items()})
