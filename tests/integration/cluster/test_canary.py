"""A change of a service goes out step by step, or comes back, by its metrics."""

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.rig import Rig
from dfastllm_operator import names
from dfastllm_operator.kinds import HTTP_ROUTE, INFERENCE_SERVICE, SERVICE
from support.exporter import Exporter, exporting
from support.operators import Stage, staged
from support.process import until

Json = dict[str, Any]
WITHIN_S = 90.0


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with exporting() as found:
        yield found


def canary(exporter: Exporter, **analysis: Any) -> Json:
    return {
        "strategy": "Canary",
        "steps": [{"weight": 10}, {"weight": 50}, {"weight": 100}],
        "analysis": {
            "source": "prometheus",
            "serverAddress": exporter.url,
            "interval": "1s",
            "warmup": "0s",
            "minSamples": 4,
            **analysis,
        },
        "scaleDownDelay": "5s",
        "drain": {"timeout": "1s"},
    }


def weights(stage: Stage, name: str) -> dict[str, int]:
    route = stage.services.child(HTTP_ROUTE, name)
    assert route is not None
    backends = route["spec"]["rules"][0]["backendRefs"]
    return {backend["name"].split("-")[-2]: backend["weight"] for backend in backends}


def rollout(stage: Stage, name: str) -> Json:
    found: Json = stage.services.get(name).get("status", {}).get("rollout") or {}
    return found


class Watched:
    """What was seen of a rollout on its way to a phase."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.weights: list[dict[str, int]] = []
        self.phases: list[str] = []

    def until(self, phase: str, revision: str) -> Json:
        def reached() -> bool:
            found = rollout(self.stage, self.name)
            seen = weights(self.stage, self.name)
            if seen not in self.weights[-1:]:
                self.weights.append(seen)
            if found.get("phase") not in self.phases[-1:]:
                self.phases.append(found.get("phase", ""))
            stable = (found.get("stable") or {}).get("revision")
            return found.get("phase") == phase and stable == revision

        try:
            until(reached, f"{phase} with {revision}", WITHIN_S, every_s=0.1)
        except AssertionError:
            body = self.stage.services.get(self.name)
            raise AssertionError(f"{self.phases} {self.weights} {body['status']}") from None
        return rollout(self.stage, self.name)


def begun(stage: Stage, exporter: Exporter, name: str) -> tuple[str, set[str]]:
    """A service at rest: its revision and its pods."""
    stage.services.create(name, rollout=canary(exporter))
    revision = stage.services.ready(name)["status"]["revision"]
    until(lambda: rollout(stage, name).get("phase") == "Stable", "told of", WITHIN_S)
    return revision, stage.services.pod_uids(name)


def test_a_good_change_gets_all_traffic_step_by_step(stage: Stage, exporter: Exporter) -> None:
    old, _ = begun(stage, exporter, "good")
    watched = Watched(stage, "good")
    stage.services.edit("good", decoding={"threshold": 0.8})
    until(lambda: rollout(stage, "good").get("candidate"), "a candidate", WITHIN_S)
    new = rollout(stage, "good")["candidate"]["revision"]
    watched.until("Finalizing", new)
    promoted = {
        pod["metadata"]["uid"]
        for pod in stage.services.pods("good")
        if pod["metadata"]["labels"][names.REVISION_LABEL] == new
    }
    watched.until("Stable", new)
    assert [w for w in watched.weights if "b" in w] == [
        {"a": 90, "b": 10},
        {"a": 50, "b": 50},
        {"a": 0, "b": 100},
        {"b": 100},
    ]
    body = stage.services.ready("good")
    assert body["status"]["revision"] == new
    assert body["status"]["slot"] == "b"
    assert stage.services.pod_uids("good") == promoted, "promotion restarts no pod"
    service = stage.services.child(SERVICE, "good")
    assert service is not None
    assert service["spec"]["selector"] == {"app": "isvc.good-b-predictor"}
    assert stage.services.child(INFERENCE_SERVICE, "good-a") is None
    assert old in stage.services.revisions("good"), "the former one can come back"
    reasons = [event["reason"] for event in stage.services.events("good")]
    assert "RolloutFinalizing" in reasons


def test_a_bad_change_is_rolled_back(stage: Stage, exporter: Exporter) -> None:
    old, pods = begun(stage, exporter, "bad")
    exporter.forwards["bad-b-"] = 40
    watched = Watched(stage, "bad")
    stage.services.edit("bad", decoding={"threshold": 0.9})
    failed = watched.until("Failed", old)
    assert failed["cause"] == "MetricsFailed"
    assert "tokensPerForward" in failed["message"]
    assert max(seen.get("b", 0) for seen in watched.weights) == 10
    assert weights(stage, "bad") == {"a": 100}
    assert stage.services.pod_uids("bad") == pods, "stable was left alone"
    stage.services.wait("Degraded", "True", "RolloutFailed", "bad")
    stage.services.wait("Ready", "True", "Serving", "bad")
    stage.services.edit("bad", replicas={"min": 2})
    stage.services.wait("Progressing", "False", "Complete", "bad")
    assert rollout(stage, "bad")["phase"] == "Failed", "not tried again"
    stage.services.edit("bad", decoding=None)
    watched.until("Stable", old)
    stage.services.ready("bad")
