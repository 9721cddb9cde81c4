"""The custom resource against the real API server: what it refuses, fills in, keeps and shows."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cluster.kubectl import KubectlFailed
from cluster.rig import Rig
from dfastllm_operator.api import parse, pod_inputs
from dfastllm_operator.api.crd import crd, text
from dfastllm_operator.errors import Refuse
from support.custom_resources import FULL, TAKEN, TINY, custom_resource
from support.refused_resources import REFUSED

Json = dict[str, Any]
NOW = "2026-11-24T12:00:00Z"
NEWS: Json = {"time": NOW, "type": "Normal", "reason": "WeightWanted", "message": "It moved."}
STATUS: Json = {
    "observedGeneration": 1,
    "phase": "Ready",
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": NOW,
            "reason": "Serving",
            "message": "",
        }
    ],
    "url": "http://tiny-demo.example.com",
    "address": {"url": "http://tiny.demo.svc.cluster.local"},
    "replicas": 2,
    "readyReplicas": 1,
    "selector": "dfastllm.io/service=tiny",
    "revision": "0a1b2c3d",
    "updateStarted": NOW,
    "updatedRevision": "0a1b2c3d",
    "slot": "a",
    "renderVersion": 1,
    "model": "builtin://tiny",
    "gpu": "1x NVIDIA-L4",
    "sizing": {
        "parameters": "7.08M",
        "dtype": "float32",
        "weights": "27Mi",
        "kvCache": "1Gi",
        "overhead": "12Mi",
        "total": "1.04Gi",
        "source": "built-in model",
        "explanation": "7.08M parameters x 4 bytes",
    },
    "rollout": {
        "phase": "Analyzing",
        "since": NOW,
        "stable": {"revision": "0a1b2c3d4e", "slot": "a"},
        "candidate": {"revision": "4e3d2c1b0a", "slot": "b"},
        "leaving": {
            "revision": "0a1b2c3d4e",
            "slot": "a",
            "since": NOW,
            "replicas": 1,
            "drained": True,
            "cut": 1,
            "unanswered": 1,
        },
        "step": 1,
        "weight": 50,
        "confirmed": 10,
        "confirmedAt": NOW,
        "stepSince": NOW,
        "exposed": True,
        "replicas": 1,
        "floor": 1,
        "cause": "MetricsFailed",
        "message": "none to speak of",
        "failed": "4e3d2c1b0a",
        "tally": {
            "failures": 1,
            "errors": 1,
            "inconclusive": 1,
            "losses": 1,
            "lostAt": NOW,
            "measuredAt": NOW,
        },
        "handled": {"promote": "0a/1", "abort": "0a/2", "retry": "0a/3"},
        "measurements": [
            {
                "metric": "errorRate",
                "outcome": "Pass",
                "bound": "max 0.01",
                "candidate": "0",
                "stable": "0",
                "samples": 50,
                "reason": "Within",
                "message": "none to speak of",
            }
        ],
        "moves": [NEWS, NEWS],
        "news": NEWS,
    },
    "lastError": {"message": "none to speak of", "time": NOW},
}


@pytest.fixture(scope="module", autouse=True)
def installed(rig: Rig) -> None:
    rig.kubectl.apply(text(), "--force-conflicts")
    rig.kubectl("wait", "--for=condition=Established", "crd/dfastllmservices.dfastllm.io")


def apply(rig: Rig, namespace: str, spec: Json = TINY, *args: str, name: str = "tiny") -> Json:
    resource = custom_resource(spec, name=name, namespace=namespace)
    rig.kubectl.apply(json.dumps(resource), *args)
    return rig.kubectl.get("dfs", name, "-n", namespace)


def patch_status(rig: Rig, namespace: str, status: Json) -> None:
    patch = json.dumps({"status": status})
    target = ("dfs", "tiny", "-n", namespace, "--subresource=status", "--type=merge")
    rig.kubectl("patch", *target, "-p", patch)


def verdicts(rig: Rig, namespace: str, specs: Mapping[str, Json]) -> dict[str, str]:
    """What the API server says against each spec, all asked at once; nothing is stored."""
    names = {f"case-{number}": case for number, case in enumerate(specs)}
    documents = [
        custom_resource(specs[case], name=name, namespace=namespace) for name, case in names.items()
    ]
    # A list that needs no kind of its own; `create` goes on after an error.
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    try:
        ask = ("create", "--dry-run=server", "--validate=ignore", "-f", "-")
        rig.kubectl(*ask, input=json.dumps(listed))
    except KubectlFailed as failed:
        said = str(failed)
    else:
        said = ""
    parts = re.split(r'DFastLLMService(?:\.dfastllm\.io)? "(case-\d+)" is invalid: ', said)
    return {names[name]: why for name, why in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_rule_refuses_in_its_own_words(rig: Rig, namespace: str) -> None:
    said = verdicts(rig, namespace, {case: spec for case, (spec, _) in REFUSED.items()})
    assert [case for case in REFUSED if case not in said] == []
    assert [case for case, (_, words) in REFUSED.items() if words not in said[case]] == []


def test_rules_refuse_no_more_than_they_say(rig: Rig, namespace: str) -> None:
    assert verdicts(rig, namespace, TAKEN) == {}


def combinations() -> Iterator[tuple[str, Json]]:
    """Every spec of one rule joined with every fourth spec that is right."""
    right = list(TAKEN.items())
    for number, (case, (spec, _)) in enumerate(REFUSED.items()):
        for other, taken in right[number % 4 :: 4]:
            yield f"{case} + {other}", {**taken, **spec}


def test_the_models_refuse_exactly_what_the_api_server_refuses(rig: Rig, namespace: str) -> None:
    specs = dict(combinations())
    said = verdicts(rig, namespace, specs)
    for case, spec in specs.items():
        try:
            parse(custom_resource(spec))
        except Refuse:
            assert case in said, f"{case}: only the models refuse"
        else:
            assert case not in said, f"{case}: only the API server refuses: {said[case]}"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "spec.model: Required value"),
        ({"model": {}}, "spec.model.uri: Required value"),
        ({**TINY, "decoding": {"strategy": "magic"}}, 'Unsupported value: "magic"'),
        ({**TINY, "engine": {"quantization": "fp8"}}, 'Unsupported value: "fp8"'),
        ({**TINY, "engine": {"memoryFraction": 0}}, "should be greater than 0"),
        ({**TINY, "startupTimeout": "soon"}, "spec.startupTimeout"),
        ({**TINY, "resources": {"requests": {"cpu": -1}}}, "spec.resources.requests.cpu"),
        ({**TINY, "env": [{"name": "A", "value": "1"}] * 2}, "Duplicate value"),
    ],
)
def test_a_field_on_its_own_is_checked_too(
    rig: Rig, namespace: str, spec: Json, words: str
) -> None:
    assert words in verdicts(rig, namespace, {"one": spec})["one"]


def test_unknown_fields_are_refused_by_kubectl(rig: Rig, namespace: str) -> None:
    resource = custom_resource({**TINY, "engine": {"maxRunning": 1}}, namespace=namespace)
    with pytest.raises(KubectlFailed, match=r'unknown field "spec.engine.maxRunning"'):
        rig.kubectl("create", "-f", "-", input=json.dumps(resource))


def test_defaults_are_written_out_and_are_those_of_the_models(rig: Rig, namespace: str) -> None:
    stored = apply(rig, namespace)
    spec = parse(custom_resource()).spec
    for name in ("decoding", "engine", "replicas", "autoscaling", "ingress", "monitoring"):
        ours = getattr(spec, name).model_dump(mode="json", by_alias=True, exclude_none=True)
        assert stored["spec"][name] == {key: value for key, value in ours.items() if value != {}}
    assert parse(stored).spec == spec
    assert pod_inputs(parse(stored).spec) == pod_inputs(spec)


def test_every_field_is_kept(rig: Rig, namespace: str) -> None:
    assert apply(rig, namespace, FULL)["spec"] == FULL


def test_every_field_of_the_status_is_kept(rig: Rig, namespace: str) -> None:
    apply(rig, namespace)
    patch_status(rig, namespace, STATUS)
    assert rig.kubectl.get("dfs", "tiny", "-n", namespace)["status"] == STATUS
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert STATUS.keys() == schema["status"]["properties"].keys()


def test_scale_sets_the_least_number_of_replicas(rig: Rig, namespace: str) -> None:
    scaled = {"replicas": {"max": 4}, "autoscaling": {"type": "hpa", "metric": "cpu"}}
    apply(rig, namespace, {**TINY, **scaled})
    patch_status(rig, namespace, STATUS)
    rig.kubectl("scale", "dfs/tiny", "--replicas=3", "-n", namespace)
    assert rig.kubectl.get("dfs", "tiny", "-n", namespace)["spec"]["replicas"]["min"] == 3
    path = f"/apis/dfastllm.io/v1alpha1/namespaces/{namespace}/dfastllmservices/tiny/scale"
    scale = json.loads(rig.kubectl("get", "--raw", path))
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 2, "selector": "dfastllm.io/service=tiny"}
    with pytest.raises(KubectlFailed, match=r"replicas.min must not exceed replicas.max"):
        rig.kubectl("scale", "dfs/tiny", "--replicas=5", "-n", namespace)


def test_two_appliers_share_a_list_by_its_names(rig: Rig, namespace: str) -> None:
    one = {**TINY, "env": [{"name": "A", "value": "1"}]}
    other = {**TINY, "env": [{"name": "B", "value": "2"}]}
    apply(rig, namespace, one, "--field-manager=one")
    stored = apply(rig, namespace, other, "--field-manager=other")
    assert [env["name"] for env in stored["spec"]["env"]] == ["A", "B"]


def test_what_kubectl_shows_is_what_one_wants_to_know(rig: Rig, namespace: str) -> None:
    apply(rig, namespace)
    patch_status(rig, namespace, STATUS)
    titles, row = rig.kubectl("get", "dfs", "-n", namespace).splitlines()
    assert titles.split()[:6] == ["NAME", "READY", "PHASE", "REASON", "MODEL", "REPLICAS"]
    assert row.split()[:6] == ["tiny", "True", "Ready", "Serving", "builtin://tiny", "1"]
    assert "tiny" in rig.kubectl("get", "dfastllm", "-n", namespace)
    rig.kubectl("wait", "--for=condition=Ready", "dfs/tiny", "-n", namespace, "--timeout=5s")


def test_kubectl_explains_every_field(rig: Rig) -> None:
    openapi = json.loads(rig.kubectl("get", "--raw", "/openapi/v3/apis/dfastllm.io/v1alpha1"))
    served = openapi["components"]["schemas"]["io.dfastllm.v1alpha1.DFastLLMService"]
    silent = [
        path
        for section in ("spec", "status")
        for path, node in _fields(served["properties"][section], section)
        if not node.get("description")
    ]
    assert silent == []
    explained = rig.kubectl("explain", "dfs.spec.engine.memoryFraction")
    assert "Share of the device memory" in explained
    assert "Default: 0.9" in " ".join(explained.split())


def _fields(node: Json, path: str) -> Iterator[tuple[str, Json]]:
    for name, part in node.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from _fields(part.get("items", part), f"{path}.{name}")
