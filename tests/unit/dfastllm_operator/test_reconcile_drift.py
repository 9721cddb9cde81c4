"""A whole reconcile while somebody edits and deletes what a rollout is made of."""

from collections.abc import Callable

import pytest

from dfastllm_operator.core import Json
from dfastllm_operator.kinds import HTTP_ROUTE, INFERENCE_SERVICE
from support.little_cluster import LittleCluster
from support.steady import CANARY, begun

GIVEN = ("uid", "resourceVersion", "generation", "managedFields")
"""What the API server writes into the metadata of an object."""


def split() -> LittleCluster:
    """A candidate has a tenth of the traffic until somebody promotes it."""
    steps = [{"weight": 10, "pause": "forever"}]
    cluster, _ = begun(rollout={**CANARY, "steps": steps})
    cluster.edit(decoding={"threshold": 0.8})
    list(cluster.until("Paused"))
    assert cluster.weights == {"a": 90, "b": 10}
    return cluster


def made_of(body: Json) -> Json:
    """All that we wrote of an object."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in GIVEN}
    return {**{key: body[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}


def goes_on(cluster: LittleCluster, before: Json) -> None:
    """The rollout is where it was, and it can still be ended well."""
    assert (cluster.rollout["phase"], cluster.rollout["weight"]) == ("Paused", 10)
    for role in ("stable", "candidate"):
        assert cluster.rollout[role] == before[role]
    cluster.annotate(promote=f"{before['candidate']['revision']}/1")
    list(cluster.until("Stable"))
    assert cluster.weights == {"b": 100}
    assert cluster.named(INFERENCE_SERVICE) == ["demo-b"]


def reweigh(a: int, b: int) -> Callable[[Json], None]:
    def edit(route: Json) -> None:
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                backend["weight"] = {"a": a, "b": b}[backend["name"].removeprefix("demo-")[0]]

    return edit


def without_candidate(route: Json) -> None:
    for rule in route["spec"]["rules"]:
        rule["backendRefs"] = [r for r in rule["backendRefs"] if r["name"].startswith("demo-a")]


@pytest.mark.parametrize("edit", [reweigh(0, 100), reweigh(50, 50), without_candidate])
def test_weights_edited_by_hand_come_back_to_what_the_status_says(
    edit: Callable[[Json], None],
) -> None:
    cluster = split()
    before, written = cluster.rollout, made_of(cluster.objects[HTTP_ROUTE, "demo"])
    cluster.meddle(HTTP_ROUTE, "demo", edit)
    assert cluster.weights != {"a": 90, "b": 10}
    cluster.start()
    cluster.tick()
    assert made_of(cluster.objects[HTTP_ROUTE, "demo"]) == written
    goes_on(cluster, before)


def test_a_route_that_was_deleted_has_its_weights_again() -> None:
    cluster = split()
    before, gone = cluster.rollout, cluster.take(HTTP_ROUTE, "demo")
    cluster.start()
    cluster.tick()
    assert made_of(cluster.objects[HTTP_ROUTE, "demo"]) == made_of(gone)
    goes_on(cluster, before)


@pytest.mark.parametrize("slot", ["a", "b"])
def test_an_inference_service_that_was_deleted_is_made_again_from_its_record(slot: str) -> None:
    cluster = split()
    before, gone = cluster.rollout, cluster.take(INFERENCE_SERVICE, f"demo-{slot}")
    cluster.start()
    for _ in range(8):
        cluster.tick()
    again = cluster.objects[INFERENCE_SERVICE, f"demo-{slot}"]
    assert made_of(again) == made_of(gone), "the spec has moved on, and its record has not"
    assert again["metadata"]["uid"] != gone["metadata"]["uid"]
    goes_on(cluster, before)


@pytest.mark.parametrize("slot", ["a", "b"])
def test_an_inference_service_that_was_edited_is_what_its_record_says(slot: str) -> None:
    def edit(body: Json) -> None:
        body["spec"]["predictor"]["minReplicas"] = 7
        body["spec"]["predictor"]["containers"][0]["image"] = "somebody/elses:1"

    cluster = split()
    before = cluster.rollout
    written = made_of(cluster.objects[INFERENCE_SERVICE, f"demo-{slot}"])
    cluster.meddle(INFERENCE_SERVICE, f"demo-{slot}", edit)
    cluster.start()
    for _ in range(4):
        cluster.tick()
    assert made_of(cluster.objects[INFERENCE_SERVICE, f"demo-{slot}"]) == written
    goes_on(cluster, before)
