"""The same numbers under vLLM's names, for pickers, dashboards and benchmarks that read those.

Nothing is counted twice: at a scrape this collector reads our instruments and renames the samples.
"""

from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from dfastllm.metrics import INSTRUMENTS, Instruments

# vLLM knows four reasons; a passed deadline is an abort there.
FINISHED_REASON = {
    "stop": "stop",
    "length": "length",
    "cancelled": "abort",
    "deadline": "abort",
    "error": "error",
}


class VllmAliases(Collector):
    """Our instruments as vLLM's, with its labels `model_name` and `engine`."""

    def __init__(self, model_name: str, instruments: Instruments = INSTRUMENTS):
        self._labels = {"model_name": model_name, "engine": "0"}
        self._from = instruments
        self._renamed: tuple[tuple[Counter | Gauge | Histogram, str], ...] = (
            (instruments.running, "vllm:num_requests_running"),
            (instruments.waiting, "vllm:num_requests_waiting"),
            (instruments.prompt_tokens, "vllm:prompt_tokens"),
            (instruments.generation_tokens, "vllm:generation_tokens"),
            (instruments.first_text_seconds, "vllm:time_to_first_token_seconds"),
            (instruments.inter_chunk_seconds, "vllm:inter_token_latency_seconds"),
            (instruments.request_seconds, "vllm:e2e_request_latency_seconds"),
            (instruments.queue_seconds, "vllm:request_queue_time_seconds"),
            (instruments.row_steps, "vllm:diffusion_num_denoising_steps"),
            (instruments.canvas_tokens, "vllm:diffusion_num_canvas_positions"),
            (instruments.committed_tokens, "vllm:diffusion_num_committed_tokens"),
        )

    def describe(self) -> Iterable[Metric]:
        return ()  # the registry would otherwise collect once at registration

    def collect(self) -> Iterable[Metric]:
        for instrument, alias in self._renamed:
            for metric in instrument.collect():
                yield self._rename(metric, alias)
        yield self._kv_usage()
        yield self._success()

    def _rename(self, metric: Metric, alias: str) -> Metric:
        renamed = Metric(alias, metric.documentation, metric.type)
        for sample in metric.samples:
            if not sample.name.endswith("_created"):
                name = alias + sample.name.removeprefix(metric.name)
                renamed.samples.append(self._sample(name, sample.labels, sample.value))
        return renamed

    def _kv_usage(self) -> Metric:
        used, total = (
            _value(gauge) for gauge in (self._from.kv_pages_used, self._from.kv_pages_total)
        )
        metric = Metric("vllm:kv_cache_usage_perc", "K/V cache usage; 1 is all of it.", "gauge")
        share = used / total if total else 0.0
        metric.samples.append(self._sample(metric.name, {}, share))
        return metric

    def _success(self) -> Metric:
        metric = Metric("vllm:request_success", "Answers by how they ended.", "counter")
        totals = dict.fromkeys(FINISHED_REASON.values(), 0.0)
        for finished in self._from.finished.collect():
            for sample in finished.samples:
                if sample.name.endswith("_total"):
                    totals[FINISHED_REASON[sample.labels["outcome"]]] += sample.value
        for reason, value in totals.items():
            labels = {"finished_reason": reason}
            metric.samples.append(self._sample("vllm:request_success_total", labels, value))
        return metric

    def _sample(self, name: str, labels: dict[str, str], value: float) -> Sample:
        return Sample(name, {**self._labels, **labels}, value)


def _value(gauge: Gauge) -> float:
    return next(iter(gauge.collect())).samples[0].value


def describe_model(
    name: str, *, registry: CollectorRegistry = REGISTRY, instruments: Instruments = INSTRUMENTS
) -> VllmAliases:
    """Name the served model in the metrics; call once, when it is known."""
    instruments.model.info({"model_name": name})
    aliases = VllmAliases(name, instruments)
    registry.register(aliases)
    return aliases
