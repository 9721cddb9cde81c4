"""CPU of the HTTP layer per request and per streamed chunk: `python -m benchmarks.server_overhead`.

Counted is the server process alone, user and system time of all its threads. What a streamed chunk
costs is the difference between long and short streams, so the cost of a request cancels out. A
bare FastAPI application that returns constants is measured in the same run.
"""

import argparse
import asyncio
import json
from typing import Any

from benchmarks.process import ServerProcess
from benchmarks.report import Report, goal
from dfastllm.cli.bench_client import Target
from dfastllm.cli.bench_load import Load, Measured, run_load

REQUEST_CPU_S = 0.0008
CHUNK_CPU_S = 60e-6
LAG_S = 0.020
PROMPT = "Sort these words: pear, apple, fig, plum, cherry, banana"
SHORT, LONG = 2, 200  # chunks of a stream


def _drive(server: ServerProcess, chunks: int, load: Load, *, stream: bool) -> dict[str, Any]:
    """CPU seconds of the server and its event-loop lag while this load runs."""
    target = Target({"model": "tiny", "max_tokens": chunks}, stream=stream)
    base = f"{server.url}/v1/"
    warm_up = Load(requests=4 * load.clients, clients=load.clients)
    asyncio.run(run_load(base, {}, target, [PROMPT], warm_up))
    before = json.loads(server.get("/probe"))
    measured: Measured = asyncio.run(run_load(base, {}, target, [PROMPT], load))
    after = json.loads(server.get("/probe"))
    failed = [s.error for s in measured.samples if s.error]
    if failed:
        raise RuntimeError(f"{len(failed)} requests failed: {failed[0]}")
    cpu_s = after["cpu_s"] - before["cpu_s"]
    return {
        "requests": load.requests,
        "clients": load.clients,
        "chunks": chunks if stream else None,
        "seconds": round(measured.seconds, 3),
        "cpu_s": round(cpu_s, 4),
        "cpu_ms_per_request": round(1000 * cpu_s / load.requests, 4),
        "lag_p50_ms": round(1000 * after["lag_p50_s"], 3),
        "lag_p99_ms": round(1000 * after["lag_p99_s"], 3),
        "lag_max_ms": round(1000 * after["lag_max_s"], 3),
    }


def _measure(kind: str, requests: int, clients: int) -> dict[str, Any]:
    with ServerProcess("benchmarks.overhead_server", ["--kind", kind]) as server:
        whole = _drive(server, 1, Load(requests, clients), stream=False)
        streams = max(requests // 20, clients)
        short = _drive(server, SHORT, Load(streams, clients), stream=True)
        long = _drive(server, LONG, Load(streams, clients), stream=True)
    chunk_s = (long["cpu_s"] - short["cpu_s"]) / (streams * (LONG - SHORT))
    return {
        "unstreamed": whole,
        "short_streams": short,
        "long_streams": long,
        "cpu_us_per_chunk": round(1e6 * chunk_s, 2),
        "chunks_per_s": round(streams * LONG / long["seconds"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    report = Report("server_overhead", **vars(options), prompt=PROMPT)
    results = {kind: _measure(kind, options.requests, options.clients) for kind in ("bare", "ours")}
    ours = results["ours"]
    lag_ms = max(ours[part]["lag_p99_ms"] for part in ("unstreamed", "long_streams"))
    goals = {
        "cpu_s_per_request": goal(
            ours["unstreamed"]["cpu_ms_per_request"] / 1000, at_most=REQUEST_CPU_S
        ),
        "cpu_s_per_chunk": goal(ours["cpu_us_per_chunk"] / 1e6, at_most=CHUNK_CPU_S)
        | {"us": ours["cpu_us_per_chunk"]},
        "event_loop_lag_p99_s": goal(lag_ms / 1000, at_most=LAG_S),
    }
    path = report.write(results=results, goals=goals)
    print(json.dumps({"goals": goals, "results": results}, indent=1))
    print(path)


if __name__ == "__main__":
    main()
