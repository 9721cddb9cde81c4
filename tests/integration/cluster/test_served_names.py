"""Both sides of a split answer to the same model names, and no name costs a restart."""

from collections.abc import Iterator

import pytest
import yaml

from cluster.rig import Rig
from dfastllm_operator import names
from dfastllm_operator.kinds import CONFIG_MAP, INFERENCE_SERVICE
from support.exporter import exporting
from support.kubeapi import Json
from support.operators import Stage, staged
from support.process import until

WITHIN_S = 90.0
TINY = "builtin://tiny"


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


def started_with(stage: Stage, slot: str) -> tuple[str, list[str]]:
    """KServe's name and the model names of the server in a slot, by the file that it mounts."""
    service = stage.services.child(INFERENCE_SERVICE, f"renamed-{slot}")
    assert service is not None
    volumes = service["spec"]["predictor"]["volumes"]
    file = next(v["configMap"]["name"] for v in volumes if v["name"] == "dfastllm-config")
    body = stage.services.child(CONFIG_MAP, file)
    assert body is not None
    model = yaml.safe_load(body["data"]["config.yaml"])["model"]
    return model["kserve_name"], model["served_model_name"]


def rollout(stage: Stage) -> Json:
    found: Json = stage.services.get("renamed").get("status", {}).get("rollout") or {}
    return found


def change(stage: Stage, **spec: Json) -> dict[str, tuple[str, list[str]]]:
    """One rollout; what both sides were started with, while both had traffic."""
    before = rollout(stage)["stable"]["revision"]
    stage.services.edit("renamed", **spec)
    until(lambda: rollout(stage).get("weight"), "a candidate with traffic", WITHIN_S)
    found = {slot: started_with(stage, slot) for slot in names.SLOTS}

    def promoted() -> bool:
        now = rollout(stage)
        return now["phase"] == "Stable" and now["stable"]["revision"] != before

    until(promoted, "promoted", WITHIN_S)
    slot = rollout(stage)["stable"]["slot"]
    assert started_with(stage, slot) == found[slot], "a promotion takes no name away"
    return found


def test_the_old_name_is_answered_during_and_after_a_rollout(stage: Stage) -> None:
    with exporting() as exporter:
        stage.services.create(
            "renamed",
            rollout={
                "strategy": "Canary",
                "steps": [{"weight": 50}],
                "analysis": {
                    "source": "prometheus",
                    "serverAddress": exporter.url,
                    "interval": "1s",
                    "warmup": "0s",
                    "minSamples": 4,
                },
                "scaleDownDelay": "5s",
                "drain": {"timeout": "1s"},
            },
        )
        stage.services.ready("renamed")
        until(lambda: rollout(stage).get("phase") == "Stable", "told of", WITHIN_S)
        assert change(stage, model={"uri": TINY, "name": "new"}) == {
            "a": ("renamed", ["renamed"]),
            "b": ("renamed", ["new", "renamed"]),
        }
        pods = stage.services.pod_uids("renamed")
        assert change(stage, decoding={"threshold": 0.8}) == {
            "b": ("renamed", ["new", "renamed"]),
            "a": ("renamed", ["new", "renamed"]),
        }
        assert pods.isdisjoint(stage.services.pod_uids("renamed"))
        assert change(stage, model={"uri": TINY, "name": "newest"}) == {
            "a": ("renamed", ["new", "renamed"]),
            "b": ("renamed", ["newest", "new"]),
        }
