from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfastllm_operator.api import (
    POD_FIELDS,
    Spec,
    parse,
    pod_essence,
    pod_inputs,
    with_pod_inputs,
)
from dfastllm_operator.api.crd import crd
from dfastllm_operator.api.structure import camel_name
from dfastllm_operator.core import Key
from support.custom_resources import FULL, TINY, custom_resource

Json = dict[str, Any]
SCHEMA = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
POD_KEYS = {camel_name(name) for name in POD_FIELDS}

COUPLED = {"replicas", "autoscaling"}
"""Fields of `FULL` that the rules allow only together."""


@st.composite
def specs(draw: st.DrawFn) -> Json:
    """Parts of the full spec, each whole or with some of its optional fields."""
    chosen = draw(st.sets(st.sampled_from(sorted(FULL.keys() - COUPLED))))
    if draw(st.booleans()):
        chosen |= COUPLED
    spec = {key: FULL[key] for key in chosen}
    for part in ("engine", "server", "rateLimit"):
        if part in spec:
            keys = draw(st.sets(st.sampled_from(sorted(FULL[part]))))
            spec[part] = {key: FULL[part][key] for key in keys}
    return {**TINY, **spec}


def spec_of(spec: Json) -> Spec:
    return parse(custom_resource(spec)).spec


def defaulted(spec: Json, schema: Json = SCHEMA) -> Json:
    """What the API server stores: the defaults written out."""
    result = dict(spec)
    for name, part in schema.get("properties", {}).items():
        if name not in result and "default" in part:
            result[name] = part["default"]
        if name in result and "properties" in part:
            result[name] = defaulted(result[name], part)
        if name in result and "properties" in part.get("items", {}):
            result[name] = [defaulted(item, part["items"]) for item in result[name]]
    return result


def leaves(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, part in node.items():
            yield f"{path}.{key}"
            yield from leaves(part, f"{path}.{key}")
    if isinstance(node, list):
        for part in node:
            yield from leaves(part, f"{path}[]")


def schema_leaves(node: Json, path: str = "") -> Iterator[str]:
    for name, part in node.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from schema_leaves(part, f"{path}.{name}")
    if "items" in node:
        yield from schema_leaves(node["items"], f"{path}[]")


def test_a_service_knows_who_it_is() -> None:
    raw = custom_resource(TINY)
    raw["metadata"] |= {"uid": "u", "generation": 3, "labels": {"a": "b"}}
    service = parse(raw)
    assert service.key == Key("demo", "tiny")
    assert (service.uid, service.generation, service.labels) == ("u", 3, {"a": "b"})
    assert service.annotations == {}
    assert service.with_spec(spec_of(FULL)).key == service.key


def test_the_full_spec_of_the_tests_has_every_field() -> None:
    missing = set(schema_leaves(SCHEMA)) - set(leaves(FULL))
    assert missing == {".model.verifier.name", ".rollout.steps[].mirror"}


def test_pod_fields_are_fields() -> None:
    assert Spec.model_fields.keys() >= POD_FIELDS
    assert Spec.model_fields.keys() - POD_FIELDS == {
        "replicas",
        "rollout",
        "autoscaling",
        "ingress",
        "monitoring",
        "network_policy",
        "paused",
    }


def test_the_essence_of_the_least_spec_is_its_model() -> None:
    assert pod_essence(spec_of(TINY)) == TINY


def test_defaults_that_change_pods_are_as_they_were_released() -> None:
    """The API server has written them into stored objects: another default restarts them all."""
    assert pod_inputs(spec_of(TINY)) == {
        "model": {"uri": "builtin://tiny", "format": "dfastllm"},
        "decoding": {
            "defaultMaxTokens": 256,
            "allowedStrategies": ["fixed", "threshold", "factor", "apd"],
            "allowedCaches": ["none", "prefix", "dual"],
            "maxSteps": 4096,
            "maxBlockLength": 256,
            "maxFactor": 100.0,
            "minThreshold": 0.0,
        },
        "engine": {
            "maxRunningRequests": 8,
            "maxQueuedRequests": 256,
            "maxQueuedTokens": 262144,
            "maxStepTokens": 8192,
            "memoryFraction": 0.9,
            "dtype": "auto",
            "quantization": "none",
        },
        "server": {
            "logLevel": "info",
            "logFormat": "auto",
            "logPrompts": False,
            "corsOrigins": [],
            "trustedProxies": [],
            "maxBodyBytes": 10485760,
        },
        "resources": {"requests": {}, "limits": {}},
        "nodeSelector": {},
        "tolerations": [],
        "topologySpreadConstraints": [],
        "terminationGracePeriodSeconds": 60,
        "startupTimeout": "30m",
        "imagePullSecrets": [],
        "podLabels": {},
        "podAnnotations": {},
        "env": [],
        "volumes": [],
        "auth": {},
        "rateLimit": {},
    }


@given(specs())
def test_defaults_that_are_written_out_change_nothing(spec: Json) -> None:
    plain, stored = spec_of(spec), spec_of(defaulted(spec))
    assert stored == plain
    assert pod_essence(stored) == pod_essence(plain)
    assert pod_inputs(stored) == pod_inputs(plain)


@given(specs())
def test_a_spec_survives_being_written_down(spec: Json) -> None:
    first = spec_of(spec)
    assert spec_of(first.model_dump(mode="json", by_alias=True, exclude_none=True)) == first


@given(specs(), specs())
def test_recorded_inputs_bring_back_the_pods_and_nothing_else(now: Json, then: Json) -> None:
    current, recorded = spec_of(now), spec_of(then)
    both = with_pod_inputs(current, pod_inputs(recorded))
    assert pod_inputs(both) == pod_inputs(recorded)
    for name in Spec.model_fields.keys() - POD_FIELDS:
        assert getattr(both, name) == getattr(current, name)


@given(specs(), specs())
def test_the_essence_decides_whether_pods_are_the_same(one: Json, other: Json) -> None:
    same = pod_inputs(spec_of(one)) == pod_inputs(spec_of(other))
    assert same == (pod_essence(spec_of(one)) == pod_essence(spec_of(other)))


@pytest.mark.parametrize("field", sorted(FULL.keys() - COUPLED))
def test_only_pod_fields_change_the_essence(field: str) -> None:
    changed = pod_essence(spec_of({**TINY, field: FULL[field]})) != pod_essence(spec_of(TINY))
    assert changed == (field in POD_KEYS)


def test_a_record_of_a_newer_operator_is_still_read() -> None:
    inputs = pod_inputs(spec_of(FULL))
    inputs["engine"]["speculation"] = "new"
    inputs["cache"] = {"kind": "new"}
    assert with_pod_inputs(spec_of(TINY), inputs).engine == spec_of(FULL).engine


def test_a_record_that_a_newer_rule_refuses_is_still_read() -> None:
    inputs = pod_inputs(spec_of(TINY))
    inputs["podLabels"] = {"dfastllm.io/x": "y"}
    assert with_pod_inputs(spec_of(TINY), inputs).pod_labels == {"dfastllm.io/x": "y"}


def test_quantities_are_the_same_as_number_and_text() -> None:
    number = spec_of({**TINY, "resources": {"requests": {"cpu": 4}}})
    text = spec_of({**TINY, "resources": {"requests": {"cpu": "4"}}})
    assert pod_essence(number) == pod_essence(text)
