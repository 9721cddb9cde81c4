"""What every result carries: when, on what hardware, with which versions."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
_PACKAGES = (
    "dfastllm", "torch", "numpy", "fastapi", "starlette", "uvicorn", "pydantic", "orjson", "httpx",
)  # fmt: skip

Result = dict[str, Any]


class Report:
    """One benchmark's result. Start it before measuring: it notes how busy the machine is."""

    def __init__(self, name: str, **parameters: Any):
        self._name = name
        self._body: Result = {
            "benchmark": name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "hardware": _hardware(),
            "versions": {"python": platform.python_version(), **_versions()},
            "parameters": parameters,
            "load_average_before": os.getloadavg()[0],
        }

    @property
    def parameters(self) -> Result:
        return dict(self._body["parameters"])

    def add(self, **parameters: Any) -> None:
        """Parameters that are known only once something was measured."""
        self._body["parameters"].update(parameters)

    def write(
        self, *, results: Any, goals: Result | None = None, folder: Path | None = None
    ) -> Path:
        """Complete the report and write it to `results/NAME.json`, or to that of `folder`."""
        self._body["load_average_after"] = os.getloadavg()[0]
        self._body["goals"] = goals or {}
        self._body["results"] = results
        path = (folder or RESULTS) / f"{self._name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._body, indent=1, ensure_ascii=False) + "\n")
        return path


def goal(value: float, *, at_most: float | None = None, at_least: float | None = None) -> Result:
    """A number beside its bound, and whether it keeps it."""
    bound = at_most if at_least is None else at_least
    assert bound is not None
    met = value <= bound if at_least is None else value >= bound
    kind = "at_most" if at_least is None else "at_least"
    return {"value": round(value, 4), kind: bound, "met": met}


def _hardware() -> Result:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "shared": "the machine may run other work at the same time",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _versions() -> dict[str, str]:
    """Of what is installed: a benchmark of the engine alone needs no web server."""
    return {name: version(name) for name in _PACKAGES if list(distributions(name=name))}
