"""Steady traffic on a service of the little cluster, and one that serves its first revision."""

from typing import Any

from dfastllm_operator.analysis import Sample, Side
from dfastllm_operator.analysis.source import Targets
from dfastllm_operator.analysis.window import Look
from dfastllm_operator.core import Json
from support.counted import CountedServer
from support.little_cluster import LittleCluster

CANARY: Json = {
    "strategy": "Canary",
    "analysis": {"interval": "2s", "warmup": "0s", "minSamples": 5},
    "scaleDownDelay": "5s",
    "drain": {"timeout": "10s"},
}


class Steady:
    """Some more answers at each look; `forwards` of them by slot: more is worse."""

    remembers = False

    def __init__(self) -> None:
        self.forwards = {"a": 10, "b": 10}
        self._pods: dict[str, CountedServer] = {}

    async def sample(self, targets: Targets, at: float) -> Sample:
        looks = {}
        for side in Side:
            pods = [pod.name for pod in targets.get(side, ())]
            looks[side] = Look({pod: self._reading(pod) for pod in pods})
        return Sample(at, looks)

    def _reading(self, pod: str) -> Any:
        server = self._pods.setdefault(pod, CountedServer())
        server.answer(10, forwards=self.forwards[pod.removeprefix("demo-")[0]])
        return server.reading()


def begun(**spec: Any) -> tuple[LittleCluster, Steady]:
    """A service that serves its first revision."""
    source = Steady()
    cluster = LittleCluster({"rollout": CANARY, **spec}, source)
    for _ in range(6):
        cluster.tick()
    assert cluster.service["status"]["phase"] == "Ready"
    return cluster, source
