"""A real server on CPU with 1 to 16 clients: `python -m benchmarks.cpu_serving`.

What batching denoising steps gains is the throughput of several clients over that of one. Prompts
are held-out contents of the built-in model's own tasks, the same for every row of the table.
"""

import argparse
import asyncio
import json
from typing import Any

from benchmarks.process import ServerProcess
from benchmarks.prompts import single_turns
from benchmarks.report import Report, goal
from dfastllm.cli.bench_client import Target
from dfastllm.cli.bench_load import Load, run_load
from dfastllm.cli.bench_report import summarise

CLIENTS = (1, 2, 4, 8, 16)
MAX_TOKENS = 96
RULES: dict[str, dict[str, Any]] = {
    "one_token_per_step": {"strategy": "fixed"},
    "default_rule": {},
}
ROWS_AT_8 = 5.0
GAIN_FIXED = 1.6
GAIN_DEFAULT = 1.2
_PER_CLIENT = 5
_ROWS = ("dfastllm_rows_per_forward_sum", "dfastllm_rows_per_forward_count")


def _level(
    server: ServerProcess, diffusion: dict[str, Any], clients: int, prompts: list[str]
) -> dict[str, Any]:
    """One row of the table: these prompts, so many clients.

    The prompts are repeated as a whole until every client had enough of them that the end, when
    clients run dry, weighs little.
    """
    rounds = -(-_PER_CLIENT * clients // len(prompts))
    body: dict[str, Any] = {"model": "tiny", "max_tokens": MAX_TOKENS}
    if diffusion:
        body["diffusion"] = diffusion
    target = Target(body, stream=False)
    load = Load(rounds * len(prompts), clients, warm_up=2)
    before = server.metrics()
    measured = asyncio.run(run_load(f"{server.url}/v1/", {}, target, prompts, load))
    after = server.metrics()
    rows, forwards = (after[name] - before[name] for name in _ROWS)
    found = summarise(measured)
    kept = ("requests_per_s", "tokens_per_s", "forwards_per_answer", "tokens_per_forward",
            "latency_s", "errors")  # fmt: skip
    return {
        "clients": clients,
        **{name: found[name] for name in kept},
        "rows_per_forward": round(rows / forwards, 3),
        "ms_per_forward": round(1000 * measured.seconds / forwards, 2),
        "rss_mib": round(server.rss_bytes / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64, help="answers at one token per step")
    parser.add_argument("--threads", type=int, help="compute threads of the server")
    options = parser.parse_args()
    prompts = single_turns(4 * options.prompts)
    used = {"one_token_per_step": prompts[: options.prompts], "default_rule": prompts}
    report = Report("cpu_serving", **vars(options), max_tokens=MAX_TOKENS)
    starts: list[dict[str, Any]] = []
    results: dict[str, Any] = {"start": starts}
    flags = ["serve", "--plain", "--model", "builtin:tiny", "--no-access-log"]
    if options.threads:
        flags += ["--num-threads", str(options.threads)]
    for which in ("first", "second"):
        with ServerProcess("dfastllm", flags) as server:
            starts.append({"start": which, "port_open_s": round(server.port_open_s, 2),
                           "ready_s": round(server.ready_s, 2)})  # fmt: skip
            if which == "first":
                continue
            for name, diffusion in RULES.items():
                results[name] = []
                for clients in CLIENTS:
                    results[name].append(_level(server, diffusion, clients, used[name]))
                    print(name, json.dumps(results[name][-1]), flush=True)
    goals = _goals(results)
    path = report.write(results=results, goals=goals)
    print(json.dumps({"goals": goals, "start": starts}, indent=1))
    print(path)


def _goals(results: dict[str, Any]) -> dict[str, Any]:
    fixed, default = (
        {row["clients"]: row for row in results[name]}
        for name in ("one_token_per_step", "default_rule")
    )
    return {
        "rows_per_forward_at_8_clients": goal(fixed[8]["rows_per_forward"], at_least=ROWS_AT_8),
        "gain_of_8_clients_one_token_per_step": goal(
            fixed[8]["requests_per_s"] / fixed[1]["requests_per_s"], at_least=GAIN_FIXED
        ),
        "gain_of_8_clients_default_rule": goal(
            default[8]["requests_per_s"] / default[1]["requests_per_s"], at_least=GAIN_DEFAULT
        ),
    }


if __name__ == "__main__":
    main()
