from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfastllm_operator.api import parse
from dfastllm_operator.errors import Refuse
from support.custom_resources import FULL, TINY, custom_resource


def refusal(spec: Any) -> str:
    with pytest.raises(Refuse) as refused:
        parse(custom_resource(spec))
    assert refused.value.reason == "InvalidSpec"
    return refused.value.message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec.model is missing: Which model is served."),
        (
            {**TINY, "engine": {"memoryFraction": 2}},
            "spec.engine.memoryFraction is 2: must be less than or equal to 1",
        ),
        (
            {**TINY, "decoding": {"strategy": "magic"}},
            "spec.decoding.strategy is \"magic\": must be 'fixed', 'threshold', 'factor' or 'apd'",
        ),
        (
            {**TINY, "engine": {"quantization": "fp8"}},
            "spec.engine.quantization is \"fp8\": must be 'none'",
        ),
        (
            {**TINY, "engine": {"maxRunningRequest": 4}},
            "spec.engine.maxRunningRequest is not a field of this version; did you mean "
            "maxRunningRequests?",
        ),
        (
            {**TINY, "telemetry": True},
            "spec.telemetry is not a field of this version; remove it",
        ),
        (
            {**TINY, "volumes": [{"name": "a", "mountPath": "/a", "emptydir": {}}]},
            "spec.volumes[0].emptydir is not a field of this version; did you mean emptyDir?",
        ),
        ({**TINY, "resources": 5}, "spec.resources is 5: must be an object"),
        ({**TINY, "env": {}}, "spec.env: must be a list"),
        ({**TINY, "paused": "perhaps"}, 'spec.paused is "perhaps": must be true or false'),
        (
            {**TINY, "resources": {"requests": {"cpu": "four"}}},
            'spec.resources.requests.cpu is "four": must match',
        ),
        (
            {**TINY, "corsOrigin": "*"},
            "spec.corsOrigin is not a field",
        ),
        (
            {**TINY, "imagePullSecrets": [{"name": f"s{n}"} for n in range(17)]},
            "spec.imagePullSecrets: must have at most 16 items",
        ),
    ],
)
def test_a_mistake_is_told_by_field_value_and_what_is_right(spec: Any, message: str) -> None:
    assert message in refusal(spec)


def test_a_pattern_is_explained_by_the_fields_description() -> None:
    message = refusal({**TINY, "startupTimeout": "half an hour"})
    assert message.startswith('spec.startupTimeout is "half an hour": must match')
    assert "for example `30m`" in message


def test_values_of_variables_are_never_repeated() -> None:
    assert "hunter2" not in refusal({**TINY, "env": [{"name": "A B", "value": "hunter2"}]})
    assert "hunter2" not in refusal({**TINY, "env": [{"name": "A", "value": "hunter2" * 2000}]})


def test_long_values_are_cut() -> None:
    message = refusal({**TINY, "image": "x" * 600})
    assert 'spec.image is "xxx' in message
    assert len(message) < 200


def test_many_mistakes_are_told_in_part() -> None:
    message = refusal({**TINY, **{f"field{n}": 1 for n in range(7)}})
    assert message.count("is not a field") == 5
    assert message.endswith("; and 2 more")


def test_a_list_whose_only_item_is_wrong_is_not_called_empty() -> None:
    def steps(*found: Any) -> str:
        return refusal({**TINY, "rollout": {"steps": list(found)}})

    wrong = "spec.rollout.steps[0].weight is 101: must be less than or equal to 100"
    assert steps({"weight": 101}) == wrong
    assert steps() == "spec.rollout.steps: must have at least 1 item"


def test_an_object_without_a_spec_is_a_mistake_too() -> None:
    with pytest.raises(Refuse, match="is missing: Which model"):
        parse({"metadata": {"name": "a"}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
PLACES = [
    (*path, key)
    for path, node in [((), FULL), *(((k,), v) for k, v in FULL.items() if isinstance(v, dict))]
    for key in node
]


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_in_a_field_is_taken_or_refused(place: tuple[str, ...], value: Any) -> None:
    raw = custom_resource(FULL)
    node = raw["spec"]
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = value
    try:
        parse(raw)
    except Refuse as refused:
        told = refused.message
    else:
        return
    assert place[0] in told, "as the field at fault, or as the one to change"
