"""What a load run says: rates, percentiles, errors by kind; as an object and as a table."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from dfastllm.cli.bench_client import Sample
from dfastllm.cli.bench_load import Measured

PERCENTILES = (50, 90, 99)
Report = dict[str, Any]


def summarise(measured: Measured) -> Report:
    """Times in seconds. Only answers that came whole count; errors are listed by kind."""
    good = [s for s in measured.samples if s.error is None]
    seconds = measured.seconds or 1.0
    tokens = [s.completion_tokens for s in good if s.completion_tokens is not None]
    counted = [s for s in good if s.forwards and s.completion_tokens is not None]
    forwards = sum(s.forwards or 0 for s in counted)
    firsts = [s.first_text_s for s in good if s.first_text_s is not None]
    return {
        "requests": len(measured.samples),
        "answers": len(good),
        "seconds": round(measured.seconds, 3),
        "requests_per_s": round(len(good) / seconds, 3),
        "completion_tokens": sum(tokens) if tokens else None,
        "tokens_per_s": round(sum(tokens) / seconds, 2) if tokens else None,
        "forwards_per_answer": round(forwards / len(counted), 3) if counted else None,
        "tokens_per_forward": (
            round(sum(s.completion_tokens or 0 for s in counted) / forwards, 3)
            if forwards
            else None
        ),
        **_verified(counted),
        "latency_s": percentiles([s.latency_s for s in good]),
        "first_text_s": percentiles(firsts),
        "inter_chunk_s": percentiles([gap for s in good for gap in s.gaps_s]),
        "chunks_per_answer": (
            round(sum(len(s.chunks_s) for s in good) / len(good), 2) if firsts else None
        ),
        "errors": dict(Counter(s.error for s in measured.samples if s.error is not None)),
    }


def _verified(counted: Sequence[Sample]) -> Report:
    """What a verifier did, where one was asked."""
    drafted = sum(s.drafted for s in counted)
    if not drafted:
        return {}
    passes = sum(s.verifier_passes for s in counted)
    accepted = sum(s.accepted for s in counted)
    return {
        "verifier_passes_per_answer": round(passes / len(counted), 3),
        "accepted_share": round(accepted / drafted, 3),
    }


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """p50, p90, p99, mean and max; None of nothing."""
    if not values:
        return None
    found = {
        f"p{q}": float(value)
        for q, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)
    }
    found |= {"mean": float(np.mean(values)), "max": float(max(values))}
    return {name: round(value, 6) for name, value in found.items()}


def tables(report: Report) -> list[Table]:
    """The counts, the times and the errors, for a terminal."""
    counts = Table(box=None, show_header=False, pad_edge=False)
    for name, value in report.items():
        if value is not None and not isinstance(value, dict):
            counts.add_row(name.replace("_", " "), f"{value:,}")
    times = Table(box=None, pad_edge=False)
    names = [f"p{q}" for q in PERCENTILES] + ["mean", "max"]
    for heading in ("milliseconds", *names):
        times.add_column(heading, justify="left" if heading == "milliseconds" else "right")
    for name in ("first_text_s", "latency_s", "inter_chunk_s"):
        if row := report[name]:
            label = name.removesuffix("_s").replace("_", " ")
            times.add_row(label, *(f"{row[q] * 1000:,.1f}" for q in names))
    errors = Table(box=None, show_header=False, pad_edge=False)
    for kind, count in report["errors"].items():
        errors.add_row(f"error: {kind}", str(count), style="red")
    return [table for table in (counts, times, errors) if table.row_count]
