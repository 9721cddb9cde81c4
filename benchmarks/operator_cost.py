"""What the operator costs, against a real API server: `python -m benchmarks.operator_cost`.

Many services are measured with etcd and the API server alone, and KServe's CRDs without its
controller: what counts there is the operator, and KServe would need a small machine for itself.
Fifty are then measured with everything: KServe, the gateway, the scheduler, kwok's nodes.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from importlib.metadata import version

from benchmarks.operator_crowd import Crowd
from benchmarks.operator_drift import Drift, summary
from benchmarks.operator_process import OperatorProcess, OperatorStage, operator_stage
from benchmarks.operator_table import goals, table
from benchmarks.plain_client import Json, PlainClient
from benchmarks.report import Report, Result
from cluster.rig import Options, running

PACKAGES = ("kopf", "kubernetes", "aiohttp")
CHANGED = 40
"""Services for each change: the API server remembers but a hundred events of a kind."""

OTHERS = ("kube-controller-manager", "kube-scheduler", "kwok")
CHANGES: dict[str, Json] = {
    "ingress.timeout": {"ingress": {"timeout": "11m"}},
    "decoding.threshold": {"decoding": {"strategy": "threshold", "threshold": 0.8}},
    "replicas.min": {"replicas": {"min": 2}},
}


class Measuring:
    """The steps, with the options they all share."""

    def __init__(self, stage: OperatorStage, options: argparse.Namespace) -> None:
        self._stage = stage
        self._crowd = Crowd(stage.rig, stage.namespace)
        self._rest_s: float = options.rest_s
        self._steady_s: float = options.steady_s
        self._trials: int = options.trials

    def many(self, count: int, changes: int) -> Result:
        results: Result = {"idle": _tell("idle", self._idle())}
        self._crowd.create(count)
        results["cold"] = _tell("cold", self._cold(count, results["idle"]["cpu_s"]))
        results["bare"] = _tell("bare applies", self._bare(results["cold"], count))
        operator = self._stage.start()
        results["restart"] = _tell("restart", self._restart(operator, count))
        results["steady"] = _tell("steady", self._steady(operator))
        results["changes"] = {
            name: _tell(name, self._change(operator, count, spec, changes, alone=True))
            for name, spec in CHANGES.items()
        }
        results["drift"] = _tell("drift", self._drift())
        results["at_the_end"] = _memory(operator)
        operator.stop()
        return results

    def ready(self, count: int, changes: int) -> Result:
        """With KServe and all: services become Ready first."""
        operator = self._stage.start()
        operator.synced_s()
        began = time.monotonic()
        self._crowd.create(count)
        self._crowd.wait_ready()
        results: Result = {"services": count, "ready_s": round(time.monotonic() - began, 2)}
        operator.settle(count)
        results["writes_per_service"] = _each(operator.writes(), count)
        results["steady"] = _tell("steady", self._steady(operator))
        results["changes"] = {
            name: _tell(name, self._change(operator, count, spec, changes, alone=False))
            for name, spec in CHANGES.items()
        }
        results["drift"] = _tell("drift", self._drift())
        results["at_the_end"] = _memory(operator)
        operator.stop()
        return results

    def _idle(self) -> Result:
        operator = self._stage.start()
        synced_s = operator.synced_s()
        time.sleep(self._rest_s)
        found = {
            "synced_s": round(synced_s, 2),
            "cpu_s": round(operator.cpu_s, 2),
            **_memory(operator),
        }
        operator.stop()
        return found

    def _cold(self, count: int, start_cpu_s: float) -> Result:
        """The services are there when the operator starts, and have nothing yet."""
        operator = self._stage.start()
        seconds = operator.settle(count) - operator.began
        cpu_s = operator.cpu_s - start_cpu_s
        writes, requests = operator.writes(), operator.requests()
        time.sleep(self._rest_s)
        found = {
            "services": count,
            "seconds": round(seconds, 2),
            "seconds_of_applying": round(seconds - operator.synced_s(), 2),
            "cpu_ms_per_service": round(1000 * cpu_s / count, 2),
            "writes": writes.total(),
            "writes_by_what_is_there": self._crowd.present(),
            "writes_per_service": _each(writes, count),
            "requests_per_service": _each(requests, count),
            **_memory(operator),
        }
        operator.stop()
        return found

    def _bare(self, cold: Result, count: int) -> Result:
        """What the API server needs for the same kind of writes when nobody thinks about them."""
        applies, seconds = self._crowd.apply_bare(min(count, 200))
        per_write = cold["seconds_of_applying"] / cold["writes"]
        return {
            "applies": applies,
            "seconds": round(seconds, 2),
            "ms_per_apply": round(1000 * seconds / applies, 2),
            "operator_ms_per_write": round(1000 * per_write, 2),
            "operator_times_bare": round(per_write / (seconds / applies), 2),
        }

    def _restart(self, operator: OperatorProcess, count: int) -> Result:
        synced_s = operator.synced_s()
        all_s = operator.looked_at_all_s(count)
        cpu_s = operator.cpu_s
        operator.settle(count)
        time.sleep(self._rest_s)
        return {
            "synced_s": round(synced_s, 2),
            "looked_at_all_s": round(all_s, 2),
            "cpu_s": round(cpu_s, 2),
            "writes": operator.writes().total(),
            **_memory(operator),
        }

    def _steady(self, operator: OperatorProcess) -> Result:
        versions, writes, cpu_s = self._crowd.versions(), operator.writes(), operator.cpu_s
        time.sleep(self._steady_s)
        cpu_s = operator.cpu_s - cpu_s
        now = self._crowd.versions()
        return {
            "seconds": self._steady_s,
            "writes": (operator.writes() - writes).total(),
            "objects_changed": sum(versions.get(uid) != version for uid, version in now.items()),
            "cpu_percent": round(100 * cpu_s / self._steady_s, 2),
        }

    def _change(
        self, operator: OperatorProcess, count: int, spec: Json, changes: int, *, alone: bool
    ) -> Result:
        """One edit to so many services; `alone`: only we and the operator write."""
        operator.settle(count)
        then = self._crowd.now()
        writes, cpu_s, began = operator.writes(), operator.cpu_s, time.time()
        self._crowd.edit(spec, changes)
        seconds = operator.settle(count) - began
        cpu_s = operator.cpu_s - cpu_s
        writes = operator.writes() - writes
        found = {
            "changes": changes,
            "cpu_ms": round(1000 * cpu_s / changes, 2),
            "writes": round(writes.total() / changes, 2),
            "writes_by_kind": _each(writes, changes),
            "seconds_until_the_last": round(seconds, 2),
        }
        if alone:  # the edit itself is one more
            by_versions = (self._crowd.writes_since(then) - changes) / changes
            found["writes_by_resource_versions"] = round(by_versions, 2)
        return found

    def _drift(self) -> Result:
        async def run() -> Result:
            async with PlainClient(self._stage.rig) as client:
                return summary(await Drift(client, self._stage.namespace).run(self._trials))

        return asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--ready-services", type=int, default=50, help="with KServe and all")
    parser.add_argument("--trials", type=int, default=240, help="objects damaged, each time")
    parser.add_argument("--quick", action="store_true", help="a smoke run that writes no result")
    options = parser.parse_args()
    options.rest_s, options.steady_s, options.changes = 20.0, 60.0, CHANGED
    if options.quick:
        options.services, options.ready_services, options.trials = 20, 4, 12
        options.rest_s, options.steady_s, options.changes = 3.0, 5.0, 4
    report = Report("operator_cost", **vars(options))
    results: Result = {"versions": {name: version(name) for name in PACKAGES}}
    with running(Options(kserve=False, gateway=False, nodes=())) as rig:
        results["versions"]["kubernetes api server"] = rig.plane.request("/version")["gitVersion"]
        with operator_stage(rig) as stage:
            for name in OTHERS:
                rig.processes[name].stop()
            measuring = Measuring(stage, options)
            results["many"] = measuring.many(options.services, options.changes)
    with running() as rig, operator_stage(rig) as stage:
        changes = min(options.changes, options.ready_services, 10)
        results["ready"] = Measuring(stage, options).ready(options.ready_services, changes)
    found = goals(results)
    print(table(results))
    print(json.dumps(found, indent=1))
    if not options.quick:
        print(report.write(results=results, goals=found))


def _memory(operator: OperatorProcess) -> Result:
    return {"rss_mb": round(operator.rss_mb, 1), "peak_mb": round(operator.peak_mb, 1)}


def _each(counts: Counter[str], number: int) -> dict[str, float]:
    return {name: round(count / number, 2) for name, count in sorted(counts.items())}


def _tell(what: str, found: Result) -> Result:
    print(what, json.dumps(found), flush=True)
    return found


if __name__ == "__main__":
    main()
