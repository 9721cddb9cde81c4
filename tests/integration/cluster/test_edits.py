"""Every field of the spec can be edited: the right objects change, and pods only where they must.

A few services take the edits in turns, all of them at a time, and keep them; each test looks at one
edit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster.rig import Rig
from dfastllm_operator.api import Spec
from dfastllm_operator.api.structure import camel_name
from dfastllm_operator.kinds import SECRET, Kind
from support.kubeapi import Json
from support.operators import Stage, staged

RUNTIME_CLASS = Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses")
POD = {"ConfigMap", "ControllerRevision", "InferenceService"}
"""What changes when pods are to be replaced."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`changed` are the kinds of which an object comes, goes or changes."""

    spec: Json
    changed: set[str] = field(default_factory=lambda: POD)
    rolls: bool = True
    first: Json = field(default_factory=dict)


def _env(name: str, value: str) -> Json:
    return {"env": [{"name": name, "value": value}]}


def _still(spec: Json, *changed: str, first: Json | None = None) -> Edit:
    return Edit(spec, set(changed), False, first or {})


LANES = tuple(f"lane-{number}" for number in range(8))
ELASTIC = {"replicas": {"min": 1, "max": 3}}
EDITS = {
    "model": Edit({"model": {"name": "other"}}),
    "image": Edit({"image": "registry.example.com/server:2"}),
    "decoding": Edit({"decoding": {"strategy": "threshold", "threshold": 0.8}}),
    "engine": Edit({"engine": {"maxRunningRequests": 4}}),
    "server": Edit({"server": {"corsOrigins": ["https://example.com"]}}),
    "resources": Edit({"resources": {"requests": {"cpu": "750m"}}}),
    "nodeSelector": Edit({"nodeSelector": {"type": "kwok"}}),
    "tolerations": Edit({"tolerations": [{"key": "spot", "operator": "Exists"}]}),
    "affinity": Edit(
        {
            "affinity": {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "preference": {
                                "matchExpressions": [{"key": "type", "operator": "Exists"}]
                            },
                        }
                    ]
                }
            }
        }
    ),
    "topologySpreadConstraints": Edit(
        {"topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}]}
    ),
    "priorityClassName": Edit({"priorityClassName": "system-cluster-critical"}),
    "shmSize": Edit({"shmSize": "1Gi"}),
    "terminationGracePeriodSeconds": Edit({"terminationGracePeriodSeconds": 90}),
    "startupTimeout": Edit({"startupTimeout": "20m"}),
    "runtimeClassName": Edit({"runtimeClassName": "edited"}),
    "serviceAccountName": Edit({"serviceAccountName": "default"}, {*POD, "ServiceAccount"}),
    "imagePullSecrets": Edit({"imagePullSecrets": [{"name": "registry"}]}),
    "podLabels": Edit({"podLabels": {"team": "a"}}),
    "podAnnotations": Edit({"podAnnotations": {"example.com/note": "b"}}),
    "env": Edit(_env("NEW", "1")),
    "volumes": Edit({"volumes": [{"name": "x", "mountPath": "/x", "emptyDir": {}}]}),
    "auth": Edit({"auth": {"apiKeysSecretRef": {"name": "edit-keys"}}}),
    "rateLimit": Edit({"rateLimit": {"requests": "10/minute"}}),
    "replicas": _still({"replicas": {"min": 2}}, "InferenceService", "PodDisruptionBudget"),
    "autoscaling": _still(
        {"autoscaling": {"target": 9}},
        "HorizontalPodAutoscaler",
        first={**ELASTIC, "autoscaling": {"type": "hpa"}},
    ),
    "ingress": _still({"ingress": {"hostname": "edited.example.org"}}, "HTTPRoute"),
    "ingress.timeout": _still({"ingress": {"timeout": "5m"}}, "HTTPRoute", "InferenceService"),
    "ingress.enabled": _still({"ingress": {"enabled": False}}, "HTTPRoute"),
    "monitoring": _still({"monitoring": {"enabled": True}}, "PodMonitor"),
    "monitoring.interval": _still(
        {"monitoring": {"interval": "5s"}}, "PodMonitor", first={"monitoring": {"enabled": True}}
    ),
    "networkPolicy": _still({"networkPolicy": {"enabled": True}}, "NetworkPolicy"),
    "rollout": _still({"rollout": {"strategy": "Canary", "revisionHistoryLimit": 7}}),
    "paused": _still({"paused": True}),
}
"""What is taken over only in part, or stops all else, comes last."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A service before or after its edit."""

    status: Json
    objects: dict[str, Json]
    pods: set[str]


@dataclass(frozen=True, slots=True)
class Edited:
    before: Seen
    after: Seen

    def changed(self) -> set[str]:
        """Kinds of which an object came, went or was changed."""
        old, new = self.before.objects, self.after.objects
        return {
            name.split()[0] for name in old.keys() | new.keys() if old.get(name) != new.get(name)
        }


@pytest.fixture(scope="module")
def edited(rig: Rig) -> Iterator[dict[str, Edited]]:
    with staged(rig) as stage:
        secret = {"metadata": {"name": "edit-keys"}, "stringData": {"alice": "token"}}
        stage.api.apply(SECRET, stage.namespace, secret)
        stage.api.apply(RUNTIME_CLASS, "", {"metadata": {"name": "edited"}, "handler": "runc"})
        for name in LANES:
            stage.services.create(name)
        found: dict[str, Edited] = {}
        for start in range(0, len(EDITS), len(LANES)):
            found |= _round(stage, list(EDITS)[start : start + len(LANES)])
        yield found


def _round(stage: Stage, edits: list[str]) -> dict[str, Edited]:
    """One edit for each service."""
    lanes = dict(zip(edits, LANES, strict=False))
    for edit, name in lanes.items():
        if EDITS[edit].first:
            stage.services.edit(name, **EDITS[edit].first)
    before = {edit: _look(stage, name) for edit, name in lanes.items()}
    for edit, name in lanes.items():
        stage.services.edit(name, **EDITS[edit].spec)
    after = {edit: _look(stage, name) for edit, name in lanes.items()}
    return {edit: Edited(before[edit], after[edit]) for edit in edits}


def _look(stage: Stage, name: str) -> Seen:
    """Once nothing moves any more."""
    reason = "Paused" if stage.services.get(name)["spec"].get("paused") else "Complete"
    stage.services.wait("Progressing", "False", reason, name)
    stage.services.wait("Ready", "True", "", name)
    stage.services.prune(name)
    state = stage.services.end_state(name)
    owned = {
        key: value
        for key, value in state.items()
        if key not in ("pods", "status") and not key.startswith("Deployment")
    }
    return Seen(state["status"], owned, stage.services.pod_uids(name))


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_what_it_must_and_nothing_else(
    name: str, edited: dict[str, Edited]
) -> None:
    assert edited[name].changed() == EDITS[name].changed


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_replaces_pods_only_where_it_changes_them(
    name: str, edited: dict[str, Edited]
) -> None:
    before, after = edited[name].before, edited[name].after
    if EDITS[name].rolls:
        assert not before.pods & after.pods
        assert before.status["revision"] != after.status["revision"]
    else:
        assert before.pods <= after.pods
        assert before.status["revision"] == after.status["revision"]


def test_every_field_of_the_spec_is_edited_here() -> None:
    fields: set[Any] = {camel_name(name) for name in Spec.model_fields}
    assert fields == {name.partition(".")[0] for name in EDITS}
