"""What Prometheus is told about the operator, and about the rollouts of its services.

Labels have few values, whatever users do, but for the series that each service has of its own. One
object per process, handed to whoever counts.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from dfastllm_operator import __version__

PREFIX = "dfastllm_operator"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The operator's metrics and the registry that holds them."""

    def __init__(self) -> None:
        # A second series for each counter, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.reconcile_duration = Histogram(
            f"{PREFIX}_reconcile_duration_seconds",
            "Time from taking a service off the queue to the end of its reconcile.",
            ["result"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.reconcile_errors = self._counter("reconcile_errors", "Failed reconciles.", "reason")
        self.queue_depth = self._gauge("queue_depth", "Services waiting to be reconciled now.")
        self.queue_oldest = self._gauge(
            "queue_oldest_seconds", "How long the oldest service has been due."
        )
        self.services = self._gauge("services", "Services by phase.", "phase")
        self.service_phase = self._of_service(
            "service_phase", "1 for the phase that a service is in.", "phase"
        )
        self.rollout_phase = self._of_service(
            "rollout_phase",
            "1 for the phase of its rollout, and why it is held or was ended.",
            "phase",
            "cause",
        )
        self.rollout_step = self._of_service(
            "rollout_step", "Step the candidate is at, from 1 on; 0 without a candidate."
        )
        self.rollout_weight = self._of_service(
            "rollout_weight", "Percent of the requests that the candidate is to have."
        )
        self.rollout_failed_checks = self._of_service(
            "rollout_failed_checks", "Looks at the metrics that failed in the present step."
        )
        self.rollout_measurement = self._of_service(
            "rollout_measurement",
            "Value at the latest look: a share, seconds, tokens or a count.",
            "metric",
            "side",
        )
        self.rollout_blocked = self._of_service(
            "rollout_blocked", "1 while a change is held because there can be no canary.", "reason"
        )
        self.rollout_transitions = self._counter(
            "rollout_transitions", "Phases that rollouts have entered.", "phase"
        )
        self.rollout_rollbacks = self._counter(
            "rollout_rollbacks", "Candidates that were taken back.", "cause"
        )
        self.writes = self._counter(
            "writes",
            "Writes the API server accepted; Lease renewals are not counted.",
            "kind",
            "verb",
        )
        self.requests = self._counter(
            "requests", "Requests to the API server; code 0 means no answer.", "verb", "code"
        )
        self.watch_restarts = self._counter(
            "watch_restarts", "Watches that ended in an error or went silent.", "kind"
        )
        self.leader = self._gauge("leader", "1 when this replica leads.")
        self._gauge("build_info", "Version of the operator.", "version").labels(__version__).set(1)

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _of_service(self, name: str, text: str, *labels: str) -> Gauge:
        return self._gauge(name, text, "namespace", "service", *labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, labels, registry=self.registry)
