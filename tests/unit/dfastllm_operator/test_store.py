from typing import Any

from dfastllm_operator.core import Json, Key
from dfastllm_operator.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE, SERVICE_RESOURCE
from dfastllm_operator.names import FIELD_MANAGER, SERVICE_LABEL, label_value
from dfastllm_operator.store import Store
from support.scripted_api import made

A, B = Key("ns", "a"), Key("ns", "b")
LONG = "x" * 80


def child(name: str, version: int = 1, of: str = "a", **more: Any) -> Json:
    return {**made(name, version, labels={SERVICE_LABEL: label_value(of)}), **more}


def owned(name: str, by: str, version: int = 1, **more: Any) -> Json:
    owner = {"kind": "DFastLLMService", "name": by, "uid": f"uid-{by}", "controller": True}
    return {**made(name, version, ownerReferences=[owner]), **more}


def test_a_service_is_kept_without_what_the_api_server_books_for_others() -> None:
    store = Store()
    booked = [
        {"manager": "kubectl"},
        {"manager": FIELD_MANAGER, "subresource": "status"},
        {"manager": FIELD_MANAGER, "fieldsV1": {}},
    ]
    service = made("a", 5, managedFields=booked) | {"spec": {"x": "ä"}}
    assert store.put(SERVICE_RESOURCE, service) == A
    found = store.service(A)
    assert found is not None
    assert found["spec"] == {"x": "ä"}
    assert found["metadata"]["managedFields"] == booked[2:]
    assert service["metadata"]["managedFields"] == booked, "what was handed over is not changed"
    assert store.keys() == [A]
    assert store.version(SERVICE_RESOURCE, "ns", "a") == 5
    assert store.service(B) is None


def test_readers_cannot_change_what_others_read() -> None:
    store = Store()
    store.put(SERVICE_RESOURCE, made("a") | {"spec": {"n": 1}})
    first = store.service(A)
    assert first is not None
    first["spec"]["n"] = 2
    again = store.service(A)
    assert again is not None
    assert again["spec"]["n"] == 1


def test_children_are_found_by_label_or_by_owner_whichever_kind() -> None:
    store = Store()
    store.put(SERVICE_RESOURCE, made("a"))
    assert store.put(CONFIG_MAP, child("one")) == A
    assert store.put(SERVICE, owned("two", "a")) == A
    assert store.put(CONFIG_MAP, child("theirs", of="b")) == B
    assert store.put(CONFIG_MAP, made("nobodys")) is None
    assert [(s.kind, s.name) for s in store.children(A)] == [(CONFIG_MAP, "one"), (SERVICE, "two")]


def test_children_of_a_service_whose_name_is_no_label_find_it() -> None:
    store = Store()
    key = Key("ns", LONG)
    store.put(SERVICE_RESOURCE, made(LONG))
    assert store.put(CONFIG_MAP, child("c", of=LONG)) == key
    assert [s.name for s in store.children(key)] == ["c"]


def test_nothing_new_wakes_nobody_and_older_news_changes_nothing() -> None:
    store = Store()
    assert store.put(CONFIG_MAP, child("c", 10, data={"v": "10"})) == A
    assert store.put(CONFIG_MAP, child("c", 10, data={"v": "10"})) is None
    assert store.put(CONFIG_MAP, child("c", 9, data={"v": "9"})) is None
    assert store.children(A)[0].body["data"] == {"v": "10"}
    assert store.put(CONFIG_MAP, child("c", 100, data={"v": "100"})) == A


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    store = Store()
    odd = child("c")
    odd["metadata"]["resourceVersion"] = "opaque"
    assert store.put(CONFIG_MAP, odd) == A
    assert store.put(CONFIG_MAP, odd) == A


def test_a_removal_wakes_the_service_unless_the_object_was_made_again() -> None:
    store = Store()
    store.put(CONFIG_MAP, child("c", 20))
    assert store.remove(CONFIG_MAP, child("c", 15)) is None
    assert store.children(A)
    assert store.remove(CONFIG_MAP, child("c", 21)) == A
    assert store.children(A) == []
    assert store.remove(CONFIG_MAP, child("c", 21)) is None


def test_an_edited_label_does_not_take_an_owned_child_away() -> None:
    store = Store()
    store.put(CONFIG_MAP, owned("c", "a", 1))
    stolen = owned("c", "a", 2)
    stolen["metadata"]["labels"] = {SERVICE_LABEL: "b"}
    assert store.put(CONFIG_MAP, stolen) == A
    assert store.children(B) == []


def test_who_loses_a_child_is_woken() -> None:
    store = Store()
    store.put(POD, child("p", 1, of="a"))
    assert store.put(POD, child("p", 2, of="b")) == A
    assert store.children(A) == []
    assert [s.name for s in store.children(B)] == ["p"]


def test_a_list_replaces_what_was_known_and_says_for_whom_it_is_news() -> None:
    store = Store()
    for name, owner, version in (("same", "a", 1), ("changed", "b", 2), ("gone", "c", 3)):
        store.put(CONFIG_MAP, child(name, version, of=owner))
    store.put(SERVICE, child("other-kind", of="d"))
    listed = child("same", 1), child("changed", 5, of="b"), child("new", 6, of="e")
    news = store.replace(CONFIG_MAP, None, [store.hold(CONFIG_MAP, obj) for obj in listed])
    assert news == {Key("ns", name) for name in "bce"}
    assert store.children(Key("ns", "c")) == []
    assert store.children(Key("ns", "d"))


def test_a_list_of_one_namespace_says_nothing_of_others() -> None:
    store = Store()
    store.put(CONFIG_MAP, made("c", namespace="other", labels={SERVICE_LABEL: "a"}))
    assert store.replace(CONFIG_MAP, "ns", []) == set()
    assert store.children(Key("other", "a"))
    assert store.forget_kind(CONFIG_MAP) == {Key("other", "a")}


def test_what_is_newer_than_a_list_is_not_missing_from_it() -> None:
    store = Store()
    store.put(CONFIG_MAP, child("fresh", 50))
    assert store.replace(CONFIG_MAP, "ns", [], version="40") == set()
    assert store.replace(CONFIG_MAP, "ns", [], version="50") == {A}


def test_of_pods_and_deployments_only_what_status_needs_is_kept() -> None:
    store = Store()
    pod = child(
        "p",
        spec={"nodeName": "n1", "containers": ["long"]},
        status={"phase": "Running", "conditions": [], "hostIP": "10.0.0.1"},
    )
    pod["metadata"]["annotations"] = {"long": "text"}
    deployment = child(
        "d",
        spec={"replicas": 2, "template": {"metadata": {"labels": {"x": "y"}}, "spec": {"long": 1}}},
        status={"readyReplicas": 1},
    )
    store.put(POD, pod)
    store.put(DEPLOYMENT, deployment)
    kept = {seen.kind: seen.body for seen in store.children(A)}
    assert kept[POD]["spec"] == {"nodeName": "n1"}
    assert kept[POD]["status"] == {"phase": "Running", "conditions": []}
    assert "annotations" not in kept[POD]["metadata"]
    assert kept[DEPLOYMENT]["spec"] == {
        "replicas": 2,
        "template": {"metadata": {"labels": {"x": "y"}}},
    }
    assert kept[DEPLOYMENT]["status"] == {"readyReplicas": 1}
    assert kept[DEPLOYMENT]["metadata"]["name"] == "d"


def test_children_outlive_their_service() -> None:
    store = Store()
    store.put(SERVICE_RESOURCE, made("a", 1))
    store.put(CONFIG_MAP, child("c"))
    assert store.remove(SERVICE_RESOURCE, made("a", 2)) == A
    assert store.keys() == []
    assert store.remove(CONFIG_MAP, child("c", 3)) == A


def test_an_answer_that_comes_after_the_removal_brings_nothing_back() -> None:
    store = Store()
    old = {"metadata": {"name": "s", "namespace": "shop", "resourceVersion": "5"}}
    gone = {"metadata": {"name": "s", "namespace": "shop", "resourceVersion": "9"}}
    new = {"metadata": {"name": "s", "namespace": "shop", "resourceVersion": "10"}}
    store.put(SERVICE, old)
    store.remove(SERVICE, gone)
    store.put(SERVICE, old)
    assert store.version(SERVICE, "shop", "s") == 0
    store.put(SERVICE, new)
    assert store.version(SERVICE, "shop", "s") == 10
