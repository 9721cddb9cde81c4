"""Every Prometheus instrument, named once. The names vLLM uses stand beside them: `metrics_vllm`.

The engine reports through `EngineMetrics` and the HTTP side through `HttpMetrics`; neither knows
Prometheus. Labels are bound at the start, so reporting a step costs a few microseconds.
"""

from dataclasses import dataclass
from typing import Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Info

from dfastllm.core import RequestStats
from dfastllm.engine.observer import Outcome, StepKind

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
STEP_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
PER_FORWARD = (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32)


@dataclass(frozen=True, slots=True)
class Instruments:
    """The instruments of one registry; the process has one set, `INSTRUMENTS`."""

    requests: Counter
    http_running: Gauge
    request_seconds: Histogram
    first_text_seconds: Histogram
    inter_chunk_seconds: Histogram
    limited: Counter
    running: Gauge
    waiting: Gauge
    finished: Counter
    queue_seconds: Histogram
    prompt_tokens: Counter
    generation_tokens: Counter
    tokens_per_forward: Histogram
    forwards_per_request: Histogram
    forwards: Counter
    step_seconds: Histogram
    rows: Histogram
    row_steps: Counter
    fed_tokens: Counter
    context_forwards: Counter
    context_fed_tokens: Counter
    canvas_tokens: Counter
    committed_tokens: Counter
    commits: Histogram
    verifier_forwards: Counter
    verifier_seconds: Histogram
    verifier_fed_tokens: Counter
    drafted_tokens: Counter
    accepted_tokens: Counter
    kv_pages_used: Gauge
    kv_pages_total: Gauge
    kv_bytes_used: Gauge
    kv_bytes_total: Gauge
    verifier_kv_pages_used: Gauge
    verifier_kv_pages_total: Gauge
    model: Info


def make_instruments(registry: CollectorRegistry = REGISTRY) -> Instruments:
    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"dfastllm_{name}", text, labels, registry=registry)

    def gauge(name: str, text: str) -> Gauge:
        return Gauge(f"dfastllm_{name}", text, registry=registry)

    def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"dfastllm_{name}", text, labels, buckets=buckets, registry=registry)

    return Instruments(
        requests=counter("requests", "HTTP requests by route and outcome.", "route", "outcome"),
        http_running=gauge("http_requests_running", "Inference requests not yet answered."),
        request_seconds=histogram("request_seconds", "Arrival to last byte, inference.", SECONDS),
        first_text_seconds=histogram(
            "time_to_first_token_seconds", "Arrival to the first committed text.", SECONDS
        ),
        inter_chunk_seconds=histogram(
            "inter_chunk_seconds", "Between two chunks of a stream.", SECONDS
        ),
        limited=counter("rate_limited", "Requests refused by a rate limit.", "kind"),
        running=gauge("requests_running", "Answers being denoised."),
        waiting=gauge("requests_waiting", "Answers waiting for a place."),
        finished=counter("requests_finished", "Answers that left the engine.", "outcome"),
        queue_seconds=histogram(
            "queue_seconds", "Arrival until the answer takes part in steps.", SECONDS
        ),
        prompt_tokens=counter("prompt_tokens", "Prompt tokens of finished answers."),
        generation_tokens=counter("generation_tokens", "Answer tokens of finished answers."),
        tokens_per_forward=histogram(
            "tokens_per_forward", "Answer tokens per forward, by answer.", PER_FORWARD
        ),
        forwards_per_request=histogram("forwards_per_request", "Forwards of one answer.", COUNTS),
        forwards=counter("forwards", "Forwards of the model by kind.", "kind"),
        step_seconds=histogram("step_seconds", "One engine step.", STEP_SECONDS, "kind"),
        rows=histogram("rows_per_forward", "Answers that share one forward.", COUNTS),
        row_steps=counter("denoising_steps", "Denoising steps summed over answers."),
        fed_tokens=counter(
            "fed_tokens", "Positions fed to the model, or as context to the network that reads it."
        ),
        context_forwards=counter(
            "context_forwards", "Forwards of another network that reads the context."
        ),
        context_fed_tokens=counter(
            "context_fed_tokens", "Positions fed to it, which are among the fed tokens."
        ),
        canvas_tokens=counter("canvas_positions", "Answer positions among the fed tokens."),
        committed_tokens=counter("committed_tokens", "Positions committed."),
        commits=histogram("commits_per_step", "Positions committed in one step.", COUNTS),
        verifier_forwards=counter("verifier_forwards", "Forwards of the verifier."),
        verifier_seconds=histogram(
            "verifier_seconds", "The verifier's part of one engine step.", STEP_SECONDS
        ),
        verifier_fed_tokens=counter(
            "verifier_fed_tokens", "Positions fed to the verifier, which are not among fed tokens."
        ),
        drafted_tokens=counter("drafted_tokens", "Tokens drafted in finished answers."),
        accepted_tokens=counter("accepted_tokens", "Drafted tokens that were committed."),
        kv_pages_used=gauge("kv_pages_used", "K/V pages in use."),
        kv_pages_total=gauge("kv_pages_total", "K/V pages there are."),
        kv_bytes_used=gauge("kv_bytes_used", "Bytes of K/V pages in use, the verifier's too."),
        kv_bytes_total=gauge("kv_bytes_total", "Bytes of K/V pages, the verifier's too."),
        verifier_kv_pages_used=gauge("verifier_kv_pages_used", "The verifier's pages in use."),
        verifier_kv_pages_total=gauge("verifier_kv_pages_total", "The verifier's K/V pages."),
        model=Info("dfastllm_model", "The model being served.", registry=registry),
    )


class EngineMetrics:
    """What the engine tells the outside, callable from its own thread (an `EngineObserver`).

    Nothing is counted while `counting` is False: a warm-up is no traffic. `kv_page_bytes` is the
    size of a K/V page, once it is known, and `verifier_page_bytes` that of the verifier's.
    """

    def __init__(self, instruments: Instruments | None = None, *, kv_page_bytes: int = 0):
        into = instruments or INSTRUMENTS
        self._into = into
        self.kv_page_bytes = kv_page_bytes
        self.verifier_page_bytes = 0
        self._verifier_kv = (0, 0)
        self.counting = True
        self._steps = {
            kind: (into.forwards.labels(kind), into.step_seconds.labels(kind))
            for kind in ("block", "refresh", "mixed")
        }
        self._finished = {
            outcome: into.finished.labels(outcome)
            for outcome in ("stop", "length", "cancelled", "deadline", "error")
        }

    def step(
        self,
        seconds: float,
        kind: StepKind,
        rows: int,
        fed_tokens: int,
        committed: int,
        canvas_tokens: int | None = None,
    ) -> None:
        """One forward. `canvas_tokens` are the answer positions among the fed ones, if known."""
        if not self.counting:
            return
        into = self._into
        forwards, step_seconds = self._steps[kind]
        forwards.inc()
        step_seconds.observe(seconds)
        into.rows.observe(rows)
        into.row_steps.inc(rows)
        into.fed_tokens.inc(fed_tokens)
        into.canvas_tokens.inc(fed_tokens if canvas_tokens is None else canvas_tokens)
        into.committed_tokens.inc(committed)
        into.commits.observe(committed)

    def context_read(self, fed_tokens: int) -> None:
        """One forward of another network that reads the context."""
        if self.counting:
            self._into.context_forwards.inc()
            self._into.context_fed_tokens.inc(fed_tokens)

    def verified(self, seconds: float, forwards: int, fed_tokens: int) -> None:
        """The verifier's part of one step."""
        if self.counting:
            self._into.verifier_forwards.inc(forwards)
            self._into.verifier_seconds.observe(seconds)
            self._into.verifier_fed_tokens.inc(fed_tokens)

    def set_load(self, running: int, waiting: int) -> None:
        self._into.running.set(running)
        self._into.waiting.set(waiting)

    def set_kv(self, used: int, total: int) -> None:
        """Pages in use and there at all."""
        into = self._into
        into.kv_pages_used.set(used)
        into.kv_pages_total.set(total)
        verifier_used, verifier_total = self._verifier_kv
        own, other = self.kv_page_bytes, self.verifier_page_bytes
        into.kv_bytes_used.set(used * own + verifier_used * other)
        into.kv_bytes_total.set(total * own + verifier_total * other)

    def set_verifier_kv(self, used: int, total: int) -> None:
        """The verifier's pages; the bytes are told with the next `set_kv`."""
        self._verifier_kv = (used, total)
        self._into.verifier_kv_pages_used.set(used)
        self._into.verifier_kv_pages_total.set(total)

    def finished(self, stats: RequestStats | None, outcome: Outcome) -> None:
        """An answer left the engine; `stats` is None when it never ran."""
        if not self.counting:
            return
        into = self._into
        self._finished[outcome].inc()
        if stats is None:
            return
        into.queue_seconds.observe(stats.queue_s)
        if stats.forward_passes:  # what left the queue unserved cost nothing
            into.prompt_tokens.inc(stats.prompt_tokens)
            into.generation_tokens.inc(stats.completion_tokens)
            into.forwards_per_request.observe(stats.forward_passes)
            into.tokens_per_forward.observe(stats.tokens_per_forward)
            into.drafted_tokens.inc(stats.drafted)
            into.accepted_tokens.inc(stats.accepted)


class HttpMetrics:
    """What the HTTP layer tells the outside."""

    def __init__(self, instruments: Instruments | None = None):
        self._into = instruments or INSTRUMENTS

    def request(self, route: str, outcome: str) -> None:
        self._into.requests.labels(route, outcome).inc()

    def begun(self) -> None:
        """An inference request came in; the engine may not know of it yet, or never hear of it."""
        self._into.http_running.inc()

    def ended(self) -> None:
        self._into.http_running.dec()

    def latency(self, seconds: float, first_text_s: float | None) -> None:
        """An inference request that was answered well, and when its first text was there."""
        self._into.request_seconds.observe(seconds)
        if first_text_s is not None:
            self._into.first_text_seconds.observe(first_text_s)

    def inter_chunk(self, seconds: float) -> None:
        self._into.inter_chunk_seconds.observe(seconds)

    def rate_limited(self, kind: Literal["requests", "tokens"]) -> None:
        self._into.limited.labels(kind).inc()


INSTRUMENTS = make_instruments()
