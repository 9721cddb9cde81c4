"""What a step costs, by rows and by how torch may compute: `python -m benchmarks.forward_cost`.

Each setting runs in a process of its own: threads and the allocator are fixed at its start. A row
is 28 to 42 prompt tokens and 32 masks of `builtin:tiny`, one token per step. `busy` shares the
machine with a process that never sleeps. The engine has glibc keep its memory; one setting undoes
that.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.report import Report
from dfastllm.__main__ import SPINS

_GIVE_BACK = "DFASTLLM_BENCH_GIVE_BACK"  # for `measure` in the child
SETTINGS: dict[str, dict[str, str]] = {
    "two threads": {"OMP_NUM_THREADS": "2"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads, as the command spins": {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": SPINS},
    "two threads, short spinning": {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "1000"},
    "two threads, memory given back": {"OMP_NUM_THREADS": "2", _GIVE_BACK: "1"},
}
ROWS = (1, 8)
SPIN = "while True: pass"


def measure(dtype: str) -> dict[str, Any]:
    """Milliseconds per step at 1 and 8 rows; in this process."""
    from dfastllm import LLM, DecodingParams
    from dfastllm.core import Request, StrategyName

    if os.environ.get(_GIVE_BACK):
        import dfastllm.build as build

        vars(build)["keep_memory"] = lambda: False
    llm = LLM(num_threads=None, dtype=dtype)
    found: dict[str, Any] = {}
    for n_rows in ROWS:
        for measured in (False, True):
            decoding = DecodingParams(StrategyName.FIXED, 32)
            prompts = [tuple(range(16, 44 + 2 * i)) for i in range(n_rows)]
            llm.engine.add(
                Request(f"{n_rows}-{measured}-{i}", p, 32, decoding=decoding, ignore_eos=True)
                for i, p in enumerate(prompts)
            )
            began, steps = time.perf_counter(), 0
            while llm.engine.has_work:
                llm.engine.step()
                steps += 1
            if measured:
                found[f"ms_at_{n_rows}"] = round(1000 * (time.perf_counter() - began) / steps, 2)
    found["gain_of_8_rows"] = round(8 * found["ms_at_1"] / found["ms_at_8"], 2)
    return found


def _in_process(environ: dict[str, str], dtype: str, busy: bool) -> dict[str, Any]:
    other = subprocess.Popen([sys.executable, "-c", SPIN]) if busy else None
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.forward_cost", "--inner", dtype],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    finally:
        if other is not None:
            other.kill()
            other.wait()
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inner", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        print(json.dumps(measure(options.inner)))
        return
    report = Report("forward_cost", rows=ROWS, settings=SETTINGS)
    results = {
        f"{name}{', busy' if busy else ''}": _in_process(environ, "float32", busy)
        for name, environ in SETTINGS.items()
        for busy in (False, True)
    }
    results["two threads, bfloat16"] = _in_process(SETTINGS["two threads"], "bfloat16", False)
    path = report.write(results=results)
    print(json.dumps(results, indent=1))
    print(path)


if __name__ == "__main__":
    main()
