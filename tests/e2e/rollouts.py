"""Rollouts as the stories see them: every state in order, by a watch of kubectl; orders by `ctl`.

with following(services, "tiny") as course:
    services.edit("tiny", decoding={"strategy": "fixed"})
    course.wait("RollingBack")
"""

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cluster.processes import Guard
from dfastllm_operator import names
from e2e.services import Services

Json = dict[str, Any]
INTERVAL_S = 2.0
SAMPLES = 8
STEPS = ({"weight": 10}, {"weight": 50}, {"weight": 100})
FROM_THE_PODS = {
    "source": "scrape",
    "interval": f"{INTERVAL_S:.0f}s",
    "warmup": "2s",
    "minSamples": SAMPLES,
    "inconclusiveLimit": 30,
}
"""An analysis in such a hurry that there are looks between which nobody asks the candidate."""
NO_SLOWER = [
    {"name": "tokensPerForward", "maxRegression": 30},
    {"name": "errorRate", "max": 0.01},
]
STATUS = "{.status.rollout}"
BACKENDS = "{.spec.rules[0].backendRefs}"
STEPPED_S = 300.0  # all steps of a rollout, on a busy machine
DONE_S = 60.0  # from the end of a rollout until whoever watches has ended


def canary(*steps: Json, analysis: Json | None = None, **more: Any) -> Json:
    """`spec.rollout`, by these steps if any are given."""
    return {
        "strategy": "Canary",
        "steps": list(steps or STEPS),
        "analysis": {**FROM_THE_PODS, **(analysis or {})},
        "scaleDownDelay": "5s",
        "drain": {"timeout": "20s"},
        **more,
    }


class Course:
    """What the API server told of a rollout and of its route, so far."""

    def __init__(self, services: Services, name: str) -> None:
        self._services = services
        self._name = name
        self.states: list[Json] = []
        self.routes: list[dict[str, int]] = []

    def heard_status(self, line: str) -> None:
        if line:
            self.states.append(json.loads(line))

    def heard_route(self, line: str) -> None:
        """Weights by slot, when they are others than before."""
        found = {backend["name"]: backend["weight"] for backend in json.loads(line or "[]")}
        weights = {
            slot: found[predictor]
            for slot in names.SLOTS
            if (predictor := names.predictor(self._name, self._services.namespace, slot)) in found
        }
        if weights not in self.routes[-1:]:
            self.routes.append(weights)

    def wait(self, phase: str, within_s: float = STEPPED_S, **wanted: Any) -> Json:
        """The first state of this phase with these fields since the watch began."""

        def come() -> Json | None:
            return next((one for one in list(self.states) if _is(one, phase, wanted)), None)

        what = f"{self._name}: {phase} {wanted or ''}"
        try:
            found: Json = self._services.until(come, what, self._name, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- its course\n{self}") from None
        return found

    @property
    def phases(self) -> list[str]:
        """Each time that one was entered."""
        return [str(one["phase"]) for one in self._entered()]

    @property
    def most_weight(self) -> int:
        """That the route ever gave the slot that came second."""
        return max((weights.get(names.SLOTS[1], 0) for weights in self.routes), default=0)

    def seconds(self) -> dict[str, float]:
        """In each phase, all its times together, until the rollout was at rest."""
        spent: dict[str, float] = defaultdict(float)
        for one, other in pairwise(self._entered()):
            if one["phase"] not in ("Stable", "Failed"):
                spent[f"{one['phase']}_s"] += (
                    at(other, "since") - at(one, "since")
                ).total_seconds()
        return dict(spent)

    def __str__(self) -> str:
        keys = ("phase", "step", "weight", "confirmed", "cause", "message")
        lines = [" ".join(f"{k}={one[k]}" for k in keys if k in one) for one in self.states]
        return "\n".join([*lines, str(self.routes)])

    def _entered(self) -> list[Json]:
        found: list[Json] = []
        for one in self.states:
            if not found or _entry(one) != _entry(found[-1]):
                found.append(one)
        return found


@contextmanager
def following(services: Services, name: str) -> Iterator[Course]:
    """From now on, as long as the block lasts."""
    course = Course(services, name)
    route = f"httproute/{names.dns_label(name)}"
    with (
        _lines(services, f"dfs/{name}", STATUS, course.heard_status),
        _lines(services, route, BACKENDS, course.heard_route),
    ):
        services.until(lambda: course.states and course.routes, "the watches have begun", name)
        yield course


def at(state: Json, field: str) -> datetime:
    """One of its times."""
    return datetime.fromisoformat(state[field]).astimezone(UTC)


def ctl(services: Services, verb: str, name: str) -> str:
    """What the command says; it must go well."""
    done = subprocess.run(
        _command(services, verb, name),
        env=_environ(),
        capture_output=True,
        text=True,
        timeout=DONE_S,
        check=False,
    )
    assert done.returncode == 0, f"{verb}: {done.stdout}{done.stderr}"
    return done.stdout


class Watch:
    """`ctl watch` where there is no terminal."""

    def __init__(self, services: Services, name: str, file: Path) -> None:
        self._services = services
        self._name = name
        self._file = file
        self._guard = Guard(file.with_suffix(".guard"))  # it would ask for ever, were we killed
        with file.open("w") as out:
            self._process = subprocess.Popen(
                _command(services, "watch", name),
                env=_environ(),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._guard.started(self._process.pid)

    @property
    def lines(self) -> list[str]:
        return self._file.read_text().splitlines()

    def wait(self, phase: str) -> None:
        """Until it has told of this phase last."""

        def told() -> bool:
            return any(phase in line.split() for line in self.lines[-1:])

        self._services.until(told, f"watch tells of {phase}", self._name, DONE_S)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._guard.stopped(self._process.pid)
        self._guard.close()


@contextmanager
def watching(services: Services, name: str, folder: Path) -> Iterator[Watch]:
    """It has told how things stand when the block begins."""
    watch = Watch(services, name, folder / f"watch-{name}.txt")
    try:
        watch.wait("Stable")
        yield watch
    finally:
        watch.end()


def _is(state: Json, phase: str, wanted: Json) -> bool:
    return state.get("phase") == phase and all(state.get(k) == v for k, v in wanted.items())


def _entry(state: Json) -> tuple[Any, Any]:
    return state.get("phase"), state.get("since")


def _command(services: Services, verb: str, name: str) -> list[str]:
    operator = [sys.executable, "-m", "dfastllm_operator", "ctl", verb, name]
    where = ["--namespace", services.namespace, "--kubeconfig", str(services.kubectl.kubeconfig)]
    return [*operator, *where]


def _environ() -> dict[str, str]:
    return {**os.environ, "NO_PROXY": "*", "COLUMNS": "200"}


@contextmanager
def _lines(services: Services, what: str, path: str, heard: Any) -> Iterator[None]:
    """Each form of an object, by what the path finds in it, from the present one on."""
    kubectl = services.kubectl
    output = f'-ojsonpath={path}{{"\\n"}}'
    process = subprocess.Popen(
        [kubectl.program, "get", what, "-n", services.namespace, "--watch", output],
        env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig), "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None

    def read() -> None:
        for line in process.stdout or ():
            heard(line.strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        reader.join()
        process.stdout.close()
