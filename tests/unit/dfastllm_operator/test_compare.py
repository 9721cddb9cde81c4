import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dfastllm_operator import names
from dfastllm_operator.compare import difference, first_difference, own_fields

VALUES = st.recursive(
    st.integers() | st.text(max_size=5) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "name", "value"]), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["spec", "data", "metadata"]), VALUES, max_size=3)


@given(OBJECTS)
def test_an_object_holds_itself(body: dict[str, Any]) -> None:
    assert first_difference(body, copy.deepcopy(body)) == ""


@given(OBJECTS, st.dictionaries(st.sampled_from(["x", "y"]), VALUES, min_size=1, max_size=2))
def test_fields_of_others_make_no_difference(body: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert first_difference(body, {**body, **theirs}) == ""


def same(wanted: Any, seen: Any) -> bool:
    return first_difference(wanted, seen) == ""


def test_lists_with_names_may_hold_more_than_ours() -> None:
    wanted = {"env": [{"name": "A", "value": "1"}]}
    assert same(wanted, {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]})
    assert not same(wanted, {"env": [{"name": "A", "value": "2"}]})


def test_lists_without_names_are_whole() -> None:
    assert not same({"args": ["a"]}, {"args": ["a", "b"]})
    assert not same({"args": ["a", "b"]}, {"args": ["a"]})
    assert not same({"tolerations": [{"key": "x"}]}, {"tolerations": [{"key": "x"}, {"key": "y"}]})


def test_true_is_not_one() -> None:
    assert not same({"a": True}, {"a": 1})


def test_a_missing_field_differs_from_an_empty_one() -> None:
    assert not same({"a": {}}, {})
    assert not same({"a": ""}, {})


def test_the_first_difference_says_where() -> None:
    wanted = {"spec": {"ports": [{"name": "http", "port": 80}]}}
    seen = {"spec": {"ports": [{"name": "http", "port": 81}]}}
    assert first_difference(wanted, seen) == "spec.ports[0].port"


def booked(body: dict[str, Any], fields: dict[str, Any], manager: str = "") -> dict[str, Any]:
    entry = {
        "manager": manager or names.FIELD_MANAGER,
        "operation": "Apply",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**body, "metadata": {**body.get("metadata", {}), "managedFields": [entry]}}


FIELDS = {
    "f:spec": {
        "f:type": {},
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}},
        "f:ranges": {'v:"10.0.0.0/8"': {}},
    }
}
WANTED = {
    "metadata": {},
    "spec": {
        "type": "ClusterIP",
        "ports": [{"name": "http", "port": 80}],
        "ranges": ["10.0.0.0/8"],
    },
}


def test_an_object_as_it_was_applied_has_no_difference() -> None:
    assert difference(WANTED, booked(WANTED, FIELDS)) == ""


def test_a_field_of_ours_that_is_wanted_no_more_is_a_difference() -> None:
    without_type = {**WANTED, "spec": {k: v for k, v in WANTED["spec"].items() if k != "type"}}
    assert difference(without_type, booked(WANTED, FIELDS)) == "spec.type"
    without_port = {**WANTED, "spec": {**WANTED["spec"], "ports": []}}
    assert difference(without_port, booked(WANTED, FIELDS)).startswith("spec.ports")
    without_range = {**WANTED, "spec": {**WANTED["spec"], "ranges": []}}
    assert difference(without_range, booked(WANTED, FIELDS)).startswith("spec.ranges")


def test_the_same_field_of_another_manager_is_theirs() -> None:
    seen = booked(WANTED, FIELDS, manager="kubectl")
    assert own_fields(seen) is None
    assert difference(WANTED, seen) == "managedFields"  # applied once, then ours as well
