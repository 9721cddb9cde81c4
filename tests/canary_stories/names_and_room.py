"""Changes of the model's name, and changes for which there is no room yet."""

import yaml

from canary_stories.book import story
from canary_stories.going_out import HOLDS_LONG
from dfastllm_operator import names
from dfastllm_operator.kinds import CONFIG_MAP, CONTROLLER_REVISION, INFERENCE_SERVICE, Kind
from dfastllm_operator.names import SLOTS
from support.kubeapi import Json
from support.scene import WITHIN_S, P, Scene

TINY = "builtin://tiny"
QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
CLASS = "system-node-critical"
"""Of the candidate alone: the quota is for pods of this class, not for those of other stories."""


@story("renamed")
def both_sides_of_a_split_answer_to_the_same_names(scene: Scene) -> None:
    first = scene.begin(steps=[{"weight": 50}], analysis=HOLDS_LONG)
    record = _record(scene, first)
    new = scene.change(0.6, model={"uri": TINY, "name": "new"})
    scene.reach(P.ANALYZING)
    assert _started_with(scene) == {"a": ["renamed"], "b": ["new", "renamed"]}
    scene.order("promote")
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()
    pods = scene.uids()
    assert _started_with(scene) == {"b": ["new", "renamed"]}, "a promotion takes no name away"
    same = scene.change(0.7)
    scene.reach(P.ANALYZING)
    assert _started_with(scene) == {"b": ["new", "renamed"], "a": ["new", "renamed"]}
    assert scene.uids(new) == pods, "names restart nothing"
    scene.order("abort")
    scene.reach(P.FAILED, failed=same)
    scene.change(0.8, model={"uri": TINY, "name": "newest"})
    scene.reach(P.ANALYZING)
    assert _started_with(scene) == {"b": ["new", "renamed"], "a": ["newest", "new", "renamed"]}
    scene.edit(decoding=None, model={"uri": TINY, "name": None})
    scene.reach(P.ANALYZING, candidate={"revision": first, "slot": "a"})
    assert _started_with(scene) == {"b": ["new", "renamed"], "a": ["renamed", "new"]}
    assert _record(scene, first) == record, "it has other names now, and was never away"
    scene.order("abort")
    scene.reach(P.FAILED, failed=first, stable={"revision": new, "slot": "b"})


def _record(scene: Scene, revision: str) -> tuple[str, Json]:
    """Which object it is, and what cannot change of it."""
    body = scene.services.child(CONTROLLER_REVISION, names.revision(scene.name, revision))
    assert body is not None
    return body["metadata"]["uid"], body["data"]


def _started_with(scene: Scene) -> dict[str, list[str]]:
    """Model names of the servers by slot, from the files they mount; KServe knows one name."""
    found = {}
    for slot in SLOTS:
        body = scene.services.child(INFERENCE_SERVICE, f"{scene.name}-{slot}")
        if body is None:
            continue
        volumes = body["spec"]["predictor"]["volumes"]
        (file,) = [v["configMap"]["name"] for v in volumes if v["name"] == "dfastllm-config"]
        content = scene.services.child(CONFIG_MAP, file)
        assert content is not None
        model = yaml.safe_load(content["data"]["config.yaml"])["model"]
        assert model["kserve_name"] == scene.name
        found[slot] = model["served_model_name"]
    return found


@story("no-quota")
def a_candidate_that_a_quota_keeps_out_waits_and_says_so(scene: Scene) -> None:
    scene.begin(steps=[{"weight": 50}])
    pods = scene.uids()
    _allow(scene, 0)
    new = scene.change(0.6, priorityClassName=CLASS)
    scene.reach(P.PAUSED, cause="NoRoom")
    held = scene.services.wait("RolloutBlocked", "True", "NoRoom", scene.name, WITHIN_S)
    assert "exceeded quota: few" in held["message"]
    assert "rollout.strategy RollingUpdate would go without a gate" in held["message"]
    scene.services.wait("Ready", "True", "Serving", scene.name, WITHIN_S)
    assert scene.uids() == pods, "stable serves on"
    _allow(scene, 1)
    scene.reach(P.STABLE, stable={"revision": new, "slot": "b"})
    scene.settle()
    scene.services.wait("RolloutBlocked", "False", "NotBlocked", scene.name, WITHIN_S)


def _allow(scene: Scene, pods: int) -> None:
    of_class = {"scopeName": "PriorityClass", "operator": "In", "values": [CLASS]}
    spec = {"hard": {"pods": str(pods)}, "scopeSelector": {"matchExpressions": [of_class]}}
    body: Json = {"metadata": {"name": "few"}, "spec": spec}
    scene.services.api.apply(QUOTA, scene.stage.namespace, body)
